package cli

// Refusal is an error of usage or configuration: the program has done nothing.
type Refusal struct{ error }

// Refuse makes err a Refusal.
func Refuse(err error) error { return Refusal{err} }

// Unwrap returns the cause.
func (r Refusal) Unwrap() error { return r.error }
