package learner

import "archflow/schemas"

// Sizes of networks and ids in memory, roughly: the bytes of their content and some for
// their entries in maps and lists. They follow from the content alone.
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

// copies is the number of copies of a network of the buffer during learning: in the
// buffer, in the epoch of pre-training, in a fit, and in the teacher.
const copies = 4

// Size returns the memory of the candidates and networks, in bytes, with the copies that
// learning makes.
func (l *Learner) Size() int {
	size := l.memory.bytes + copies*l.buffer.bytes
	if l.given != nil {
		size += l.given.Size()
	}
	return size
}

// Shed drops the oldest candidate, or the largest unlabelled network of the buffer, from
// the larger of the two. It reports false where nothing can be dropped.
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
