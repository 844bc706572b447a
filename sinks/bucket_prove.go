package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/google/uuid"
)

// ErrUnconditional says that a store lets create overwrite an object. Every commit to the
// tables, the registry and the journal relies on the opposite.
var ErrUnconditional = errors.New("conditional writes do not work")

// ProveCreate creates a small object twice in a bucket, and removes it. The second time
// must fail: some stores that speak S3 accept the condition and ignore it, so that two
// processes that write one object both succeed and the rows of one are lost; others
// refuse the condition.
func ProveCreate(ctx context.Context, b Bucket) error {
	key := "archflow-probe-" + uuid.NewString()
	err := b.Create(ctx, key, []byte("1"))
	if err == nil {
		err = b.Create(ctx, key, []byte("2"))
		if errors.Is(err, fs.ErrExist) {
			err = nil
		} else if err == nil {
			err = fmt.Errorf("%s creates an object a second time, as if it had not been asked to refuse (If-None-Match): %w; %s", b.URL(), ErrUnconditional, cureUnconditional)
		}
		// A user without the right to delete is met by the tables' own upkeep.
		_ = b.Delete(context.WithoutCancel(ctx), key)
	}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotImplemented {
		err = fmt.Errorf("%s does not know how to create an object only if there is none: %w; %s: %w", b.URL(), ErrUnconditional, cureUnconditional, err)
	}
	return err
}

const cureUnconditional = "use a newer release of the store, another store (Amazon S3, MinIO, versitygw), or a folder that the processes share"
