package learner

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"archflow/schemas"
)

// The newest so many entries count, and of two with the same id the newer.
func TestMemoryAgainstAPlainList(t *testing.T) {
	networks := make([]*network, 8)
	for i := range networks {
		networks[i] = &network{id: schemas.ID{byte(i)}}
	}
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(0, 6).Draw(t, "room")
		m := newMemory(room)
		type entry struct {
			id   string
			arch byte
		}
		var list []entry
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			e := entry{arch: byte(rapid.IntRange(0, 7).Draw(t, "architecture"))}
			if n := rapid.IntRange(-1, 5).Draw(t, "id"); n >= 0 {
				e.id = fmt.Sprint(n)
			}
			m.add([]byte(e.id), schemas.ID{e.arch}, networks[e.arch])
			told, newest := false, true
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].arch == e.arch && e.id == "" {
					told = true
				}
				if list[i].id == e.id && newest {
					told = told || list[i].arch == e.arch
					newest = false
				}
			}
			if !told {
				list = append(list, e)
				list = list[max(len(list)-room, 0):]
			}
			byID, byArchitecture := map[string]byte{}, map[byte]bool{}
			for _, e := range list {
				byArchitecture[e.arch] = true
				if e.id != "" {
					byID[e.id] = e.arch
				}
			}
			for n := range 6 {
				id := fmt.Sprint(n)
				want, known := byID[id]
				at, network := m.find([]byte(id), schemas.ID{})
				if known != (network != nil) || known && (at != schemas.ID{want} || network != networks[want]) {
					t.Fatalf("id %s is %v of %v, want %v of %v", id, network, at, known, want)
				}
			}
			for a := range byte(8) {
				if _, network := m.find(nil, schemas.ID{a}); byArchitecture[a] != (network != nil) {
					t.Fatalf("architecture %d is %v, want known %v", a, network, byArchitecture[a])
				}
			}
		}
	})
}
