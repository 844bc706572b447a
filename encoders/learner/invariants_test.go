package learner

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Errorf(string, ...any)
}

// check asserts the invariants of a learner.
func check(t fataler, l *Learner) {
	t.Helper()
	if len(l.networks) != len(l.buffer.networks) {
		t.Errorf("%d networks are found by id, %d are in the buffer", len(l.networks), len(l.buffer.networks))
	}
	labels := map[*network]int{}
	for _, task := range l.tasks {
		for architecture, x := range task.results {
			labels[x.network]++
			if l.networks[x.network.id] != x.network {
				t.Errorf("the labelled network of architecture %v is not in the buffer", architecture)
			}
		}
	}
	for i, n := range l.buffer.networks {
		if n.slot != i || l.networks[n.id] != n {
			t.Errorf("slot %d holds a network that believes in slot %d; found by id: %v", i, n.slot, l.networks[n.id] == n)
		}
		if n.labels != labels[n] {
			t.Errorf("the network in slot %d counts %d labels, the tasks %d", i, n.labels, labels[n])
		}
	}
	free := 0
	for _, n := range l.buffer.networks {
		if n.labels == 0 {
			free++
		}
	}
	if len(l.buffer.networks) > l.cfg.Buffer && free > l.cfg.Buffer {
		t.Errorf("%d networks without labels in a buffer for %d", free, l.cfg.Buffer)
	}
	waiting, bytes := 0, 0
	for key, same := range l.waiting.byKey {
		waiting += len(same)
		for _, x := range same {
			bytes += len(key) + len(x.label.ID) + len(x.label.Task)
		}
	}
	if w := l.waiting; w.held != waiting || w.bytes != bytes || waiting > l.cfg.Waiting || len(w.all()) != waiting || len(w.order) > 2*waiting+17 {
		t.Errorf("%d labels of %d bytes wait, counted as %d of %d, in order %d, in %d places; want at most %d", waiting, bytes, w.held, w.bytes, len(w.all()), len(w.order), l.cfg.Waiting)
	}
	sizes := 0
	for _, n := range l.buffer.networks {
		sizes += n.size()
	}
	if l.buffer.bytes != sizes {
		t.Errorf("the buffer counts %d bytes and holds %d", l.buffer.bytes, sizes)
	}
	sizes = 0
	for _, entry := range l.memory.order {
		sizes += entry.size()
	}
	named := map[*network]int{}
	for _, k := range l.memory.architecture {
		if named[k.network]++; named[k.network] == 1 {
			sizes += k.network.size()
		}
		if k.given != nil {
			sizes += sizeOf(k.given)
		}
	}
	for n, architectures := range named {
		if n.named != architectures {
			t.Errorf("a network counts %d architectures that are remembered, of %d", n.named, architectures)
		}
	}
	if l.memory.bytes != sizes {
		t.Errorf("the memory counts %d bytes and holds %d", l.memory.bytes, sizes)
	}
	if len(l.memory.order) > l.cfg.Remember {
		t.Errorf("%d candidates are remembered, want at most %d", len(l.memory.order), l.cfg.Remember)
	}
}

// again returns the learner as its state restores it, which counts the same.
func again(t *rapid.T, cfg Config, l *Learner) *Learner {
	state, err := l.State()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(cfg, state)
	if err != nil {
		t.Fatal(err)
	}
	if restored.Size() != l.Size() {
		t.Errorf("%d bytes are kept, %d once restored", l.Size(), restored.Size())
	}
	return restored
}

func TestInvariantsAfterAnyOperations(t *testing.T) {
	w := cells(t, synflow, some(2, 120)...)
	for i := range 40 {
		w.add(t, fmt.Sprintf(`{"space":"nb201","arch":%q}`, arch(i))) // most are one network
	}
	rapid.Check(t, func(t *rapid.T) {
		cfg := tiny("nb201")
		cfg.Buffer, cfg.Remember = rapid.IntRange(4, 40).Draw(t, "buffer"), rapid.IntRange(1, 60).Draw(t, "remember")
		cfg.Waiting = rapid.IntRange(1, 20).Draw(t, "waiting")
		l := New(cfg)
		candidate := rapid.IntRange(0, len(w.c.Space)-1)
		for range rapid.IntRange(1, 200).Draw(t, "operations") {
			i := candidate.Draw(t, "candidate")
			x := w.byArchitecture(i, rapid.SampledFrom([]string{"acc", "latency"}).Draw(t, "task"), float64(i))
			if rapid.Bool().Draw(t, "by id") && len(w.c.ID.At(i)) > 0 {
				x = w.byID(i, x.Task, x.Value)
			}
			switch rapid.IntRange(0, 6).Draw(t, "operation") {
			case 6:
				kept := l.Size()
				if l.Shed() != (l.Size() < kept) {
					t.Errorf("from %d to %d bytes", kept, l.Size())
				}
				l = again(t, cfg, l)
			case 0:
				l.Label(x)
			case 1:
				l.Label(withdrawn(x))
			default:
				l.Observe(&w.c, i)
			}
			check(t, l)
		}
	})
}

func TestLabelledNetworksStay(t *testing.T) {
	w := cells(t, nil, some(3, 400)...)
	cfg := tiny("nb201")
	cfg.Buffer = 20
	l := New(cfg)
	for i := range 10 {
		l.Observe(&w.c, i)
		l.Label(w.byID(i, "acc", float64(i)))
	}
	observeAll(l, w)
	check(t, l)
	if got := len(labelled(l, "acc")); l.Networks() != 20 || got == 0 {
		t.Errorf("%d networks and %d labels", l.Networks(), got)
	}
}

// Every network has the same chance to be in the buffer, early or late.
func TestBufferIsAUniformSample(t *testing.T) {
	w := cells(t, nil, some(4, 300)...)
	early, total := 0, 0
	for seed := range uint64(60) {
		cfg := tiny("nb201")
		cfg.Buffer, cfg.Seed, cfg.Remember = 30, seed, 1
		l := New(cfg)
		observeAll(l, w)
		for i := range w.c.Network {
			if n := l.networks[w.c.Network[i]]; n != nil {
				total++
				if i < len(w.c.Network)/2 {
					early++
				}
			}
		}
	}
	if share := float64(early) / float64(total); share < 0.44 || share > 0.56 {
		t.Errorf("%.2f of the buffer came in the first half", share)
	}
}

func TestCandidateWithMostProxiesWins(t *testing.T) {
	w := cells(t, nil)
	graph := fmt.Sprintf(`{"space":"nb201","arch":%q,"proxies":`, arch(7000))
	for _, proxies := range []string{`{"a":1}`, `{"a":2}`, `{"a":3,"b":4}`, `{"b":5,"c":6}`} {
		w.add(t, graph+proxies+`}`)
	}
	l := New(tiny("nb201"))
	want := [][]float64{{1}, {1}, {3, 4}, {3, 4, 6}}
	for i := range want {
		l.Observe(&w.c, i)
		_, values := l.buffer.proxyColumns(0)
		var got []float64
		for _, v := range values {
			got = append(got, v[0])
		}
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("after candidate %d: %v, want %v", i, got, want[i])
		}
	}
}
