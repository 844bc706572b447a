package learner

import "archflow/schemas"

// Sizes are what networks and ids take in memory, roughly: the bytes of their content and
// some for their places in maps and lists. They follow from the content alone.
const (
	placeSize     = 64
	attributeSize = 40
	proxySize     = 16
)

func sizeOf(g *schemas.Graph) int {
	return 4*(len(g.Ops)+len(g.Edges)+len(g.Names.Start)) + attributeSize*len(g.Attributes) + len(g.Names.Data)
}

func (n *network) size() int { return placeSize + sizeOf(&n.graph) + proxySize*len(n.proxies) }

func (r *remembered) size() int { return placeSize + len(r.id) }

// copies is how often a network of the buffer is in memory while it is learnt from: in the
// buffer, in the epoch of pre-training, and in what a fit and the teacher see.
const copies = 4

// Size returns what the candidates and networks that are kept take, in bytes, with the
// copies that learning makes.
func (l *Learner) Size() int {
	size := l.memory.bytes + copies*l.buffer.bytes
	if l.given != nil {
		size += l.given.Size()
	}
	return size
}

// Shed gives up the candidate that has been remembered longest, or the largest network of
// the buffer that has no label, of whichever there is more. It reports false where nothing
// can be given up.
func (l *Learner) Shed() bool {
	if l.given != nil && l.given.Size() > l.memory.bytes+copies*l.buffer.bytes && l.given.Shed() {
		return true
	}
	if l.memory.bytes < copies*l.buffer.bytes {
		if out := l.buffer.shed(); out != nil {
			delete(l.networks, out.id)
			l.pretrain.changed()
			return true
		}
	}
	if len(l.memory.order) == 0 {
		return false
	}
	l.memory.forget()
	return true
}
