package learner

import (
	"bytes"
	"testing"
	"time"
)

func TestPausesChangeNoBit(t *testing.T) {
	w := cells(t, synflow, some(15, 90)...)
	for predictor, minimum := range map[string]int{PredictorBest: 30, PredictorFGP: 500} {
		cfg := tiny("nb201")
		cfg.Predictor = predictor
		plain, _ := fitOnce(t, cfg, w, 24)
		calls := 0
		cfg.Pace = func() int {
			calls++
			if calls%10 == 0 {
				time.Sleep(time.Microsecond)
			}
			return calls % 3
		}
		paced, _ := fitOnce(t, cfg, w, 24)
		if !bytes.Equal(modelBytes(t, plain), modelBytes(t, paced)) {
			t.Errorf("%s: the model differs after %d pauses", predictor, calls)
		}
		if calls < minimum {
			t.Errorf("%s: paused %d times, want at least %d", predictor, calls, minimum)
		}
	}
}
