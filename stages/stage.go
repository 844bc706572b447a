package stages

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"

	"archflow/schemas"
)

// Stage is one transformation of a batch.
//
// Process takes b further along: it releases b.Rows, puts its new rows in their place,
// and adds refused messages to b.Rejects. An error stops the session with nothing
// acknowledged; bad data is not an error. A stage holds no channel, starts no goroutine
// and is not for concurrent use: the pipeline makes one for every goroutine it runs it
// in.
type Stage interface {
	Process(ctx context.Context, b *schemas.Batch) error
}

// replace puts rows in the place of b's.
func replace(b *schemas.Batch, rows arrow.Record) {
	b.Rows.Release()
	b.Rows = rows
}
