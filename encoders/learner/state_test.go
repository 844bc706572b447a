package learner

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// stateBytes returns the state as a checkpoint holds it.
func stateBytes(t testing.TB, l *Learner) []byte {
	t.Helper()
	s, err := l.State()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reborn returns the learner of another process: from the bytes of a
// checkpoint alone.
func reborn(t testing.TB, l *Learner) *Learner {
	t.Helper()
	var s State
	if err := gob.NewDecoder(bytes.NewReader(stateBytes(t, l))).Decode(&s); err != nil {
		t.Fatal(err)
	}
	again, err := Restore(l.cfg, &s)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// work does a piece of the work that is due, if any is.
func work(t testing.TB, l *Learner) {
	t.Helper()
	if eager := l.Steps()%2 == 1; l.Due(eager) {
		if _, err := l.Work(t.Context(), eager); err != nil {
			t.Fatal(err)
		}
	}
}

// life is a random sequence of inputs and pieces of work.
func life(w *world, seed uint64) []func(testing.TB, *Learner) {
	r := rand.New(rand.NewPCG(seed, 7))
	var steps []func(testing.TB, *Learner)
	for at := 0; at < len(w.c.Space); {
		switch i := r.IntN(len(w.c.Space)); r.IntN(8) {
		case 0, 1, 2:
			next := at
			at++
			steps = append(steps, func(_ testing.TB, l *Learner) { l.Observe(&w.c, next) })
		case 3:
			steps = append(steps, func(_ testing.TB, l *Learner) { l.Label(w.byID(i, "acc", w.value(i))) })
		case 4:
			steps = append(steps, func(_ testing.TB, l *Learner) { l.Label(w.byArchitecture(i, "latency", -w.value(i))) })
		case 5:
			if r.IntN(4) == 0 {
				steps = append(steps, func(_ testing.TB, l *Learner) { l.Label(withdrawn(w.byID(i, "acc", 0))) })
			}
		default:
			for range r.IntN(6) {
				steps = append(steps, work)
			}
		}
	}
	for range 12 { // no more candidates, so that the copy of the buffer is not behind
		i := r.IntN(len(w.c.Space))
		steps = append(steps, work, func(_ testing.TB, l *Learner) { l.Label(w.byID(i, "acc", w.value(i)+0.5)) })
	}
	return steps
}

func TestInterruptedLearnerEndsWithTheSameBits(t *testing.T) {
	for seed := range uint64(3) {
		w := cells(t, func(i int) string {
			if i%3 == 0 {
				return ""
			}
			return synflow(i)
		}, some(20+seed, 70)...)
		cfg := tiny("nb201")
		cfg.Buffer, cfg.Remember, cfg.Seed, cfg.Epochs = 40, 50, seed, 2
		if seed == 2 {
			cfg.Predictor, cfg.Growth = PredictorFGP, 1
		}
		steps := life(w, seed)
		plain := New(cfg)
		for _, step := range steps {
			step(t, plain)
		}
		r := rand.New(rand.NewPCG(seed, 8))
		interrupted, interruptions := New(cfg), 0
		for _, step := range steps {
			step(t, interrupted)
			if r.IntN(4) == 0 && interrupted.Quiet() {
				interrupted = reborn(t, interrupted)
				interruptions++
			}
		}
		for !plain.Quiet() {
			work(t, plain)
			work(t, interrupted)
		}
		check(t, interrupted)
		if plain.number < 2 || plain.Steps() < 5 || interruptions < 20 {
			t.Fatalf("seed %d: %d models, %d steps, %d interruptions: too few to show anything", seed, plain.number, plain.Steps(), interruptions)
		}
		t.Logf("seed %d: %d models, %d steps, %d interruptions", seed, plain.number, plain.Steps(), interruptions)
		if !bytes.Equal(modelBytes(t, plain), modelBytes(t, interrupted)) {
			t.Errorf("seed %d: the champion differs after %d interruptions", seed, interruptions)
		}
		if !bytes.Equal(stateBytes(t, plain), stateBytes(t, interrupted)) {
			t.Errorf("seed %d: the state differs after %d interruptions", seed, interruptions)
		}
	}
}

func TestStateDoesNotChangeWithItsLearner(t *testing.T) {
	w := cells(t, synflow, some(30, 90)...)
	l, _ := fitOnce(t, tiny("nb201"), w, 30)
	s, err := l.State()
	if err != nil {
		t.Fatal(err)
	}
	var before, after bytes.Buffer
	if err := gob.NewEncoder(&before).Encode(s); err != nil {
		t.Fatal(err)
	}
	for i := 30; i < 60; i++ {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	workAll(t, l)
	if err := gob.NewEncoder(&after).Encode(s); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before.Bytes(), after.Bytes()) {
		t.Error("a state changed after it was taken")
	}
}

func TestStateThatDoesNotFitIsRefused(t *testing.T) {
	w := cells(t, synflow, some(31, 60)...)
	l, _ := fitOnce(t, tiny("nb201"), w, 20)
	for name, spoil := range map[string]func(*State){
		"space":   func(s *State) { s.Space = "nb101" },
		"random":  func(s *State) { s.Random = s.Random[:3] },
		"buffer":  func(s *State) { s.Buffered = len(s.Networks) + 1 },
		"name":    func(s *State) { s.Networks[0].Ops[0] = 1000 },
		"proxy":   func(s *State) { s.Networks[0].ProxyNames[0] = -1 },
		"proxies": func(s *State) { s.Networks[0].Proxies = nil },
		"memory":  func(s *State) { s.Memory[0].Network = -1 },
		"label":   func(s *State) { s.Tasks[0].Labels[0].Network = len(s.Networks) },
		"label outside": func(s *State) {
			s.Tasks[0].Labels[0].Network = s.Buffered
			s.Networks = append(s.Networks, s.Networks[0])
		},
		"epoch":          func(s *State) { s.Epoch.Networks[0] = -1 },
		"epoch order":    func(s *State) { s.Epoch.Order[0] = int32(len(s.Epoch.Networks)) },
		"epoch position": func(s *State) { s.Epoch.At = len(s.Epoch.Order) + 1 },
		"epoch values":   func(s *State) { s.Epoch.Values = nil },
		"trunk":          func(s *State) { s.Trunk = s.Trunk[:len(s.Trunk)/2] },
		"champion":       func(s *State) { s.Champion = s.Champion[:len(s.Champion)/2] },
	} {
		s, err := l.State()
		if err != nil {
			t.Fatal(err)
		}
		spoil(s)
		if _, err := Restore(l.cfg, s); err == nil {
			t.Errorf("%s: a spoilt state was taken", name)
		} else if !strings.Contains(fmt.Sprint(err), "state") && !strings.Contains(fmt.Sprint(err), "tensor") {
			t.Errorf("%s: the error %q does not name the fault", name, err)
		}
	}
}

// breaking is a context that ends after a number of calls of Err.
type breaking struct {
	context.Context
	left atomic.Int64
}

func breakAfter(ctx context.Context, checks int) *breaking {
	b := &breaking{Context: ctx}
	b.left.Store(int64(checks))
	return b
}

func (b *breaking) Err() error {
	if b.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// A fit that is broken off anywhere leaves no trace, or a trainer that is
// stopped would store a state that no order of input explains.
func TestBrokenOffWorkLeavesNoTrace(t *testing.T) {
	for _, predictor := range []string{PredictorBest, PredictorFGP} {
		w := cells(t, synflow, some(32, 90)...)
		cfg := tiny("nb201")
		cfg.Predictor = predictor
		l := New(cfg)
		observeAll(l, w)
		for i := range 40 {
			l.Label(w.byID(i, "acc", w.value(i)))
			l.Label(w.byID(i, "same", 1))
		}
		before, broken := stateBytes(t, l), 0
		undisturbed := New(cfg)
		observeAll(undisturbed, w)
		for i := range 40 {
			undisturbed.Label(w.byID(i, "acc", w.value(i)))
			undisturbed.Label(w.byID(i, "same", 1))
		}
		workAll(t, undisturbed)
		for l.Due(false) {
			for at := 0; ; at += 1 + at/8 {
				quiet := l.Quiet()
				_, err := l.Work(breakAfter(t.Context(), at), false)
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) || l.Quiet() != quiet {
					t.Fatal(err, l.Quiet())
				}
				if broken++; l.champion == nil && quiet && !bytes.Equal(stateBytes(t, l), before) {
					t.Fatalf("%s: a fit that was broken off at check %d left a trace", predictor, at)
				}
			}
		}
		if !bytes.Equal(stateBytes(t, l), stateBytes(t, undisturbed)) {
			t.Errorf("%s: pieces of work that were broken off left a trace", predictor)
		}
		if broken < 3 || l.champion == nil || bytes.Equal(stateBytes(t, l), before) {
			t.Errorf("%s: broken off %d times, champion %v: it shows nothing", predictor, broken, l.champion)
		}
	}
}

func TestStateHoldsAttributes(t *testing.T) {
	g := schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("input"), schemas.MustIntern("block")}, Edges: []int32{0, 1}}
	g.Attributes = []schemas.Attribute{
		{Node: schemas.WholeGraph, Name: schemas.MustIntern("act"), Kind: schemas.TextKind, Text: schemas.MustIntern("gelu")},
		{Node: 1, Name: schemas.MustIntern("bias"), Kind: schemas.BooleanKind, Text: schemas.NoSymbol, Number: 1},
		{Node: 1, Name: schemas.MustIntern("width"), Text: schemas.NoSymbol, Number: 64},
	}
	l := New(Config{Space: "dag", Flow: flow.New(flow.Config{})})
	l.offer(&network{id: schemas.ID{1}, graph: g, slot: -1})
	again := reborn(t, l)
	if got := again.buffer.networks[0].graph; !reflect.DeepEqual(got, g) {
		t.Errorf("restored %+v, was %+v", got, g)
	}
	bad := NetworkState{Ops: []int32{0}, Attributes: []AttributeState{{Node: 1}}}
	known := newNames()
	if _, err := bad.graph(func(int32) (string, error) { return "x", nil }, known); err == nil {
		t.Error("an attribute of a node that is not there was taken")
	}
}
