package learner

import "archflow/schemas"

// memory finds the network of a candidate that a label names later, by the
// candidate's id or by the hash of its architecture. It holds the newest so
// many candidates.
type memory struct {
	room         int
	byID         map[string]schemas.ID // JSON text of the id -> architecture
	architecture map[schemas.ID]*known
	order        []remembered // ring, oldest at next
	next         int
}

type known struct {
	network *network
	entries int // in order that name the architecture
}

type remembered struct {
	id           string
	architecture schemas.ID
}

func newMemory(room int) *memory {
	return &memory{room: room, byID: map[string]schemas.ID{}, architecture: map[schemas.ID]*known{}}
}

// add remembers a candidate and forgets the oldest when there is no room.
func (m *memory) add(id []byte, architecture schemas.ID, n *network) {
	if m.room == 0 {
		return
	}
	k := m.architecture[architecture]
	if old, ok := m.byID[string(id)]; k != nil && (len(id) == 0 || ok && old == architecture) {
		return
	}
	if k == nil {
		k = &known{network: n}
		m.architecture[architecture] = k
	}
	k.entries++
	entry := remembered{string(id), architecture}
	if len(id) > 0 {
		m.byID[entry.id] = architecture
	}
	if len(m.order) < m.room {
		m.order = append(m.order, entry)
		return
	}
	m.forget(m.order[m.next])
	m.order[m.next] = entry
	m.next = (m.next + 1) % m.room
}

// forget removes an entry; what a newer one says too stays known.
func (m *memory) forget(old remembered) {
	k := m.architecture[old.architecture]
	k.entries--
	if k.entries == 0 {
		delete(m.architecture, old.architecture)
	}
	if old.id != "" && m.byID[old.id] == old.architecture {
		delete(m.byID, old.id)
	}
}

// find returns the network that a label names, nil while it is unknown.
func (m *memory) find(id []byte, architecture schemas.ID) (schemas.ID, *network) {
	if len(id) > 0 {
		var ok bool
		if architecture, ok = m.byID[string(id)]; !ok {
			return schemas.ID{}, nil
		}
	}
	if k := m.architecture[architecture]; k != nil {
		return architecture, k.network
	}
	return architecture, nil
}
