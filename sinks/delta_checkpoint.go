package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"archflow/internal/input"

	"github.com/parquet-go/parquet-go"
)

const (
	// checkpointEvery commits the log is summed up, so that readers need not
	// read it from its beginning.
	checkpointEvery = 100

	// retention is for how long files that were removed from the table, and
	// commits before a checkpoint, stay for those who still read them, unless the
	// table's properties say otherwise; and files that are not in the log at all
	// for a writer that is about to commit them.
	retention = 24 * time.Hour
)

// checkpoint writes the state as a checkpoint when enough commits have passed.
// It falls to the writer of the commit whose number says so; the others do it
// when that one has not for as many commits again.
func (l *deltaLog) checkpoint(ctx context.Context) error {
	version := l.state.version
	due, each := l.due, l.state.metaData.checkpointEach()
	if !due && version-max(l.checkpointed, 0) >= 2*each {
		_, checkpoints, err := l.list(ctx, fmt.Sprintf("%020d", max(l.checkpointed, 0)))
		if err != nil {
			return err
		}
		for at := range checkpoints {
			l.checkpointed = max(l.checkpointed, at)
		}
		due = version-max(l.checkpointed, 0) >= 2*each
	}
	if !due {
		return nil
	}
	l.state.forget(l.now().Add(-l.state.metaData.duration(fileRetention, retention)).UnixMilli())
	actions := l.state.actions()
	body, err := encodeCheckpoint(actions)
	if err == nil {
		err = checkFile(body)
	}
	if err != nil {
		return fmt.Errorf("checkpoint %d: %w", version, err)
	}
	if err := l.bucket.Write(ctx, l.key(fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", version)), body); err != nil {
		return err
	}
	hint, err := json.Marshal(map[string]int64{"version": version, "size": int64(len(actions))})
	if err != nil {
		return err
	}
	if err := l.bucket.Write(ctx, l.key(logFolder+"_last_checkpoint"), hint); err != nil {
		return err
	}
	l.checkpointed, l.due = version, false
	return nil
}

func encodeCheckpoint(actions []deltaAction) ([]byte, error) {
	var body bytes.Buffer
	w := parquet.NewGenericWriter[deltaAction](&body, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(100_000))
	if _, err := w.Write(actions); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

func decodeCheckpoint(body []byte) (actions []deltaAction, err error) {
	defer input.Damaged(&err)
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	r := parquet.NewGenericReader[deltaAction](file)
	defer func() { err = errors.Join(err, r.Close()) }()
	for page := make([]deltaAction, 1000); ; {
		clear(page)
		n, err := r.Read(page)
		actions = append(actions, page[:n]...)
		if errors.Is(err, io.EOF) {
			return actions, nil
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
}
