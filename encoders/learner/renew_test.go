package learner

import (
	"bytes"
	"encoding/gob"
	"strings"
	"testing"

	"archflow/encoders"
)

// A learner that is restored with another encoder keeps its labels, answers with its
// model until one of the new encoder comes, and ends with the same bits however often it
// is interrupted.
func TestRestoredWithAnotherEncoder(t *testing.T) {
	w := cells(t, synflow, some(31, 96)...)
	cfg := tiny("nb201")
	l := New(cfg)
	observeAll(l, w)
	for i := range 40 {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	workAll(t, l)
	before := modelBytes(t, l)
	if l.champion == nil || l.Replaced() != "" || reborn(t, l).Replaced() != "" {
		t.Fatal("no model, or an encoder given up for itself")
	}
	var state State
	if err := gob.NewDecoder(bytes.NewReader(stateBytes(t, l))).Decode(&state); err != nil {
		t.Fatal(err)
	}
	for _, name := range encoders.Names[1:] {
		cfg.Encoder = name
		restore := func() *Learner {
			l, err := Restore(cfg, &state)
			if err != nil {
				t.Fatal(name, err)
			}
			if !strings.HasPrefix(l.Replaced(), "resgated of width 8 with 2 layers") {
				t.Fatalf("%s replaces %q", name, l.Replaced())
			}
			return l
		}
		plain, interrupted := restore(), restore()
		if !bytes.Equal(modelBytes(t, plain), before) {
			t.Errorf("%s: another model answers before it has learnt", name)
		}
		for plain.Due(false) {
			work(t, plain)
			work(t, interrupted)
			if !interrupted.Quiet() {
				continue
			}
			if interrupted = reborn(t, interrupted); interrupted.Replaced() != "" {
				t.Fatalf("%s is given up for %s", interrupted.Replaced(), name)
			}
		}
		if !bytes.Equal(stateBytes(t, plain), stateBytes(t, interrupted)) {
			t.Errorf("%s: interruptions change the state", name)
		}
		// Whether the new model ranks well enough is for its trial to say.
		for i := 40; i < 96 && bytes.Equal(modelBytes(t, plain), before); i++ {
			plain.Label(w.byID(i, "acc", w.value(i)))
			workAll(t, plain)
		}
		if text := string(modelBytes(t, plain)); !strings.Contains(text, `\"encoder\":\"`+name+`\"`) && !strings.Contains(text, `\"Encoder\":\"`+name+`\"`) {
			t.Errorf("%s: the champion after %d labels is of another encoder", name, len(plain.tasks[0].labels))
		}
	}
}
