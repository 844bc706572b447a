package sinks

import (
	"context"
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
)

// commitAndTidy commits and then does the upkeep that is due. What upkeep fails
// at is done another time: the commit stands.
func (t *table[R]) commitAndTidy(ctx context.Context) error {
	if len(t.spans) == 0 && t.spent == nil {
		return nil
	}
	if err := t.commit(ctx); err != nil {
		return err
	}
	err := errors.Join(t.log.compact(ctx), t.log.checkpoint(ctx))
	if now := t.log.now(); now.Sub(t.swept) >= sweepEvery {
		t.swept = now
		err = errors.Join(err, t.log.sweep(ctx))
	}
	if err != nil {
		t.logger.WarnContext(ctx, "table upkeep put off", "table", t.name, "error", err)
	}
	return nil
}

// recordBytes returns the memory that the columns of a record view.
func recordBytes(r arrow.Record) int {
	n := 0
	var add func(d arrow.ArrayData)
	add = func(d arrow.ArrayData) {
		for _, b := range d.Buffers() {
			if b != nil {
				n += b.Len()
			}
		}
		for _, c := range d.Children() {
			add(c)
		}
	}
	for _, c := range r.Columns() {
		add(c.Data())
	}
	return n
}
