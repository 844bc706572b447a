package learner

// pace rests if somebody wants that and returns how many cores the next part of
// the work may use, 0 being all.
func (l *Learner) pace() int {
	if l.cfg.Pace == nil {
		return 0
	}
	return l.cfg.Pace()
}
