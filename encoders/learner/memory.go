package learner

import "archflow/schemas"

// memory finds the network of a candidate that a label names later, by the candidate's id
// or by the hash of its architecture. It holds the newest candidates, up to its capacity.
type memory struct {
	capacity     int
	byID         map[string]int64 // id, as schemas.IDText has it -> number of the newest entry with it
	architecture map[schemas.ID]*known
	order        []remembered // oldest first
	first        int64        // number of order[0]
	bytes        int          // of ids and graphs, as sizes count them
}

type known struct {
	network *network
	given   *schemas.Graph // the graph as given, nil where it is the network
	entries int            // in order that name the architecture
}

type remembered struct {
	id           string // JSON text
	architecture schemas.ID
}

func newMemory(capacity int) *memory {
	return &memory{capacity: capacity, byID: map[string]int64{}, architecture: map[schemas.ID]*known{}}
}

// add remembers a candidate and forgets the oldest when there is no room.
func (m *memory) add(id []byte, architecture schemas.ID, n *network) {
	if m.capacity == 0 {
		return
	}
	k := m.architecture[architecture]
	if k != nil {
		m.hold(n)
		m.release(k.network)
		k.network = n
		at, ok := m.byID[schemas.IDText(id)]
		if len(id) == 0 || ok && m.order[at-m.first].architecture == architecture {
			return
		}
	} else {
		k = &known{network: n}
		m.hold(n)
		m.architecture[architecture] = k
	}
	k.entries++
	if len(m.order) == m.capacity {
		m.forget()
	}
	entry := remembered{string(id), architecture}
	m.order = append(m.order, entry)
	m.bytes += entry.size()
	if len(id) > 0 {
		m.byID[schemas.IDText(id)] = m.first + int64(len(m.order)) - 1
	}
}

// forget removes the oldest entry, except where a newer one repeats it.
func (m *memory) forget() {
	old := m.order[0]
	m.order[0] = remembered{}
	m.order = m.order[1:]
	m.first++
	m.bytes -= old.size()
	k := m.architecture[old.architecture]
	k.entries--
	if k.entries == 0 {
		m.release(k.network)
		m.give(k, nil)
		delete(m.architecture, old.architecture)
	}
	if id := schemas.IDText([]byte(old.id)); len(old.id) > 0 && m.byID[id] < m.first {
		delete(m.byID, id)
	}
}

// give sets the graph as given of an architecture.
func (m *memory) give(k *known, graph *schemas.Graph) {
	if k.given != nil {
		m.bytes -= sizeOf(k.given)
	}
	if k.given = graph; graph != nil {
		m.bytes += sizeOf(graph)
	}
}

// hold counts a network that one more architecture names.
func (m *memory) hold(n *network) {
	if n.named++; n.named == 1 {
		m.bytes += n.size()
	}
}

func (m *memory) release(n *network) {
	if n.named--; n.named == 0 {
		m.bytes -= n.size()
	}
}

// find returns the network that a label names, nil while it is unknown.
func (m *memory) find(id []byte, architecture schemas.ID) (schemas.ID, *network) {
	if len(id) > 0 {
		at, ok := m.byID[schemas.IDText(id)]
		if !ok {
			return schemas.ID{}, nil
		}
		architecture = m.order[at-m.first].architecture
	}
	if k := m.architecture[architecture]; k != nil {
		return architecture, k.network
	}
	return architecture, nil
}
