package learner

import (
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// The newest entries up to the capacity count, and of two with the same id the newer.
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
			found, newest := false, true
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].arch == e.arch && e.id == "" {
					found = true
				}
				if list[i].id == e.id && newest {
					found = found || list[i].arch == e.arch
					newest = false
				}
			}
			if !found {
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

// TestIdleLearnersAreSmall: an idle learner keeps no memory of its steps, which would be
// four fifths of a small space's.
func TestIdleLearnersAreSmall(t *testing.T) {
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	w := cells(t, synflow, some(7, 150)...)
	before := live()
	var all []*Learner
	for range 2 {
		l := New(Config{Space: "nb201", Flow: flow.New(flow.Config{}), Epochs: 4, Seed: 1})
		observeAll(l, w)
		workAll(t, l)
		all = append(all, l)
	}
	if all[0].Steps() == 0 {
		t.Fatal("no step was taken")
	}
	if each := (live() - before) / uint64(len(all)); each > 4<<20 {
		t.Errorf("%d bytes each", each)
	}
	runtime.KeepAlive(all)
}
