package sinks

import (
	"context"
	"errors"
)

// claims returns the entries that go with a commit of the actions on the state
// s to claim the upkeep that is due then.
func (t *table[R]) claims(s *deltaSnapshot, actions []deltaAction) (claims []deltaAction) {
	put := func(claim *deltaTxn) {
		if claim != nil {
			claims = append(claims, deltaAction{Txn: claim})
		}
	}
	if len(t.log.poor) > 0 || len(t.log.compactable(s.files, actions)) > 0 {
		put(t.log.claim(s, claimCompaction, compactionClaim))
	}
	if !t.log.holds(s, claimVacuum) || t.log.now().Sub(t.vacuumed).Abs() >= vacuumEvery {
		put(t.log.claim(s, claimVacuum, vacuumEvery))
	}
	return claims
}

// commitAndMaintain commits and then does the maintenance that is due and claimed by us.
// Maintenance that fails is retried later: the commit is durable.
func (t *table[R]) commitAndMaintain(ctx context.Context) error {
	if len(t.spans) == 0 && t.failed == nil {
		return nil
	}
	if err := t.commit(ctx); err != nil {
		return err
	}
	t.upkeep(ctx)
	return nil
}

// upkeep does the maintenance that is due and claimed by us.
func (t *table[R]) upkeep(ctx context.Context) {
	var err error
	if t.log.holds(t.log.state, claimCompaction) {
		if len(t.log.poor) > 0 {
			err = t.log.restat(ctx)
		}
		err = errors.Join(err, t.log.compact(ctx))
	}
	if now := t.log.now(); t.log.holds(t.log.state, claimVacuum) && now.Sub(t.vacuumed).Abs() >= vacuumEvery {
		t.vacuumed = now
		_, _, failed := t.log.vacuum(ctx)
		err = errors.Join(err, failed)
	}
	err = errors.Join(err, t.log.checkpoint(ctx))
	if err != nil {
		t.logger.WarnContext(ctx, "table upkeep put off", "table", t.name, "error", err)
	}
}
