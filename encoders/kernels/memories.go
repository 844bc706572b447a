package kernels

import "sync"

// memories are idle buffers of products, as many as there were products at the same time.
type memories[T any] struct {
	sync.Mutex
	idle []*T
}

func (p *memories[T]) take() *T {
	p.Lock()
	defer p.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return new(T)
	}
	m := p.idle[last]
	p.idle = p.idle[:last]
	return m
}

func (p *memories[T]) put(m *T) {
	p.Lock()
	p.idle = append(p.idle, m)
	p.Unlock()
}
