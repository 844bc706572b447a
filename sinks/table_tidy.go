package sinks

import (
	"context"
	"errors"
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
