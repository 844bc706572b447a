package schemas

// Rejection says why a message becomes a dead letter. It is an error so that
// ordinary code can return it.
type Rejection struct {
	Class  string // one of the Class constants: bounded, for metrics
	Reason string // a sentence: what, where, the cure
}

// Error returns the reason.
func (r *Rejection) Error() string { return r.Reason }
