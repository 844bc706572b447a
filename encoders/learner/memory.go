package learner

import "archflow/schemas"

// memory finds the network of a candidate that a label names later, by the
// candidate's id or by the hash of its architecture. It holds the newest so
// many candidates.
type memory struct {
	room         int
	byID         map[string]int // JSON text of the id -> newest place in order
	architecture map[schemas.ID]*known
	order        []remembered // ring, oldest at next
	next         int
}

type known struct {
	network *network
	given   *schemas.Graph // the graph as given, nil where it is the network
	entries int            // in order that name the architecture
}

type remembered struct {
	id           string
	architecture schemas.ID
}

func newMemory(room int) *memory {
	return &memory{room: room, byID: map[string]int{}, architecture: map[schemas.ID]*known{}}
}

// add remembers a candidate and forgets the oldest when there is no room.
func (m *memory) add(id []byte, architecture schemas.ID, n *network) {
	if m.room == 0 {
		return
	}
	k := m.architecture[architecture]
	if k != nil {
		k.network = n
		at, ok := m.byID[string(id)]
		if len(id) == 0 || ok && m.order[at].architecture == architecture {
			return
		}
	} else {
		k = &known{network: n}
		m.architecture[architecture] = k
	}
	k.entries++
	at := len(m.order)
	if at < m.room {
		m.order = append(m.order, remembered{})
	} else {
		at = m.next
		m.next = (m.next + 1) % m.room
		m.forget(at)
	}
	m.order[at] = remembered{string(id), architecture}
	if len(id) > 0 {
		m.byID[m.order[at].id] = at
	}
}

// forget removes an entry; what a newer one says too stays known.
func (m *memory) forget(at int) {
	old := m.order[at]
	k := m.architecture[old.architecture]
	k.entries--
	if k.entries == 0 {
		delete(m.architecture, old.architecture)
	}
	if newest, ok := m.byID[old.id]; ok && newest == at {
		delete(m.byID, old.id)
	}
}

// find returns the network that a label names, nil while it is unknown.
func (m *memory) find(id []byte, architecture schemas.ID) (schemas.ID, *network) {
	if len(id) > 0 {
		at, ok := m.byID[string(id)]
		if !ok {
			return schemas.ID{}, nil
		}
		architecture = m.order[at].architecture
	}
	if k := m.architecture[architecture]; k != nil {
		return architecture, k.network
	}
	return architecture, nil
}
