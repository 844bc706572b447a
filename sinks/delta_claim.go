package sinks

import "time"

// Maintenance of a table is done by one of its writers at a time. The log names it as a
// txn of these names, which is part of a commit that is made anyway: of two writers that
// claim at once only one gets the commit's number. A claim saves work and is no lock:
// every commit checks for itself that the files it removes are still there.
const (
	claimCompaction = "archflow/compaction"
	claimVacuum     = "archflow/vacuum"
)

// compactionClaim is for how long a compactor that shows no sign of life keeps
// the others away.
const compactionClaim = time.Minute

// claim returns the entry that claims a piece of upkeep on the state s, nil
// while another's claim is younger than the period. A claim from the future, of
// a clock that goes wrong, holds for a period as well.
func (l *deltaLog) claim(s *deltaSnapshot, upkeep string, period time.Duration) *deltaTxn {
	now := l.now()
	last := s.txns[upkeep]
	if last.LastUpdated != nil && !l.holds(s, upkeep) && now.Sub(time.UnixMilli(*last.LastUpdated)).Abs() < period {
		return nil
	}
	at := now.UnixMilli()
	return &deltaTxn{AppID: upkeep, Version: last.Version + 1, LastUpdated: &at}
}

// holds says whether the newest claim on a piece of upkeep is ours.
func (l *deltaLog) holds(s *deltaSnapshot, upkeep string) bool {
	version, ok := l.claims[upkeep]
	return ok && version == s.txns[upkeep].Version
}
