package encoders

import "slices"

// Clone returns an independent trunk in the same state.
func (t *Trunk) Clone() *Trunk {
	old := t.training
	random := *old.random
	c := &Trunk{config: t.config, moments: t.moments.clone()}
	c.training = newTraining(old.clone(), slices.Clone(old.weights), &random, old.rate, old.decay, t.config.Cores)
	copy(c.training.m, old.m)
	copy(c.training.v, old.v)
	c.training.steps = old.steps
	if err := c.takePretext(); err != nil {
		panic(err) // the trunk has the same
	}
	return c
}

// clone returns an independent copy with the same slots.
func (n *network) clone() *network {
	s := n.shape
	s.Outputs = slices.Clone(s.Outputs)
	c, err := newNetwork(s, n.vocabulary.clone())
	if err != nil {
		panic(err) // n was made from the same shape
	}
	return c
}

func (m *moments) clone() moments {
	return moments{m.batches, slices.Clone(m.mean), slices.Clone(m.variance)}
}
