package calibration_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"archflow/encoders"
	"archflow/encoders/calibration"
)

// TestCoverage draws labels whose spread depends on the score, and counts how
// often the 90 % interval holds a new one.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() (score, label float64) {
		score = rng.NormFloat64()
		return score, 90 + 4*math.Tanh(score) + rng.NormFloat64()*(.3+math.Exp(-score)/2)
	}
	for _, c := range []struct{ labels, repeats int }{{5, 700}, {9, 700}, {16, 500}, {30, 400}, {60, 300}, {118, 200}, {500, 40}, {5000, 4}} {
		for _, minimise := range []bool{false, true} {
			held, width, all := 0, 0., 0
			for range c.repeats {
				s, y := make([]float64, c.labels), make([]float64, c.labels)
				turn := 1.
				if minimise {
					turn = -1
				}
				for i := range s {
					s[i], y[i] = draw()
					y[i] *= turn
				}
				k := calibration.Fit(s, nil, y, nil, minimise)
				for range 200 {
					score, label := draw()
					value, low, high, _ := k.At(score, 0)
					if !(low <= value && value <= high) {
						t.Fatalf("%d labels: value %v outside [%v, %v]", c.labels, value, low, high)
					}
					if low <= label*turn && label*turn <= high {
						held++
					}
					width += high - low
					all++
				}
			}
			share := float64(held) / float64(all)
			t.Logf("%5d labels: coverage %.3f, mean width %.2f", c.labels, share, width/float64(all))
			low, high := .88, .92
			if c.labels < 9 {
				low, high = .87, .99 // no order statistic reaches 90 %
			}
			if share < low || share > high {
				t.Errorf("%d labels, minimise %v: coverage %.3f", c.labels, minimise, share)
			}
		}
	}
}

// TestIntervalsOfFewLabels: on average intervals are at most 20 times as long as labels
// are apart, however few labels there are and however skewed.
func TestIntervalsOfFewLabels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, labels := range []int{5, 10, 20} {
		for range 300 {
			s, y := make([]float64, labels), make([]float64, labels)
			for i := range s {
				s[i] = rng.NormFloat64()
				y[i] = 90 - math.Exp(2*rng.NormFloat64()-s[i])
			}
			k := calibration.Fit(s, nil, y, nil, false)
			width := 0.
			for _, score := range s {
				_, low, high, _ := k.At(score, 0)
				width += (high - low) / float64(labels)
			}
			if most := 20 * (slices.Max(y) - slices.Min(y)); width > most {
				t.Errorf("labels %.4g of scores %.2g: intervals have a width of %.3g, more than %.3g", y, s, width, most)
			}
		}
	}
}

// Intervals and deviations are as wide as the candidate is unsure, at every score
// and every spread; a model from before answers as it did.
func TestIntervalsFollowTheCandidate(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 2))
	draw := func() (score, spread, label float64) {
		score, spread = rng.NormFloat64(), .6*rng.NormFloat64()
		return score, spread, 90 + 4*score + math.Exp(spread)*rng.NormFloat64()
	}
	for _, minimise := range []bool{false, true} {
		var held, all [4]float64
		for range 60 {
			s, u, y := make([]float64, 100), make([]float64, 100), make([]float64, 100)
			for i := range s {
				s[i], u[i], y[i] = draw()
			}
			turn := 1.
			if minimise {
				turn = -1
				for i := range y {
					y[i] = -y[i]
				}
			}
			task := encoders.Task{Calibration: calibration.Fit(s, u, y, nil, minimise)}
			for range 100 {
				score, spread, label := draw()
				_, low, high, _ := task.At(score, spread, true)
				at := min(max(int(2+2*spread), 0), 3)
				all[at]++
				if low <= turn*label && turn*label <= high {
					held[at]++
				}
			}
			_, sure, _ := task.Told(0, -.5, true)
			_, unsure, _ := task.Told(0, .5, true)
			if unsure < 1.5*sure {
				t.Errorf("deviations %v and %v where the labels' are %v and %v", sure, unsure, math.Exp(-.5), math.Exp(.5))
			}
			_, anyone, _ := task.Told(0, math.NaN(), true)
			if !(sure < anyone && anyone < unsure) {
				t.Errorf("a candidate of unknown spread deviates by %v, others by %v to %v", anyone, sure, unsure)
			}
		}
		for k := range held {
			if share := held[k] / all[k]; share < .84 || share > .96 {
				t.Errorf("minimise %v: quarter %d of the spreads: coverage %.3f", minimise, k, share)
			}
		}
	}
	var before calibration.Map
	if err := json.Unmarshal([]byte(`{"score":[0,1],"value":[10,20],"spread":[1,2],"below":2,"above":3,"seen":[0,1],"deviation":1.5}`), &before); err != nil || before.Check() != nil {
		t.Fatal(err, before.Check())
	}
	if value, low, high, _ := before.At(.5, 7); value != 15 || low != 12 || high != 19.5 || before.SD(.5, -7) != 2.25 {
		t.Errorf("a model from before answers %v in [%v, %v], deviation %v", value, low, high, before.SD(.5, -7))
	}
}

func TestCalibrationIsMonotone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	s, y := make([]float64, 80), make([]float64, 80)
	for i := range s {
		s[i] = float64(rng.IntN(30))
		y[i] = s[i] + 5*rng.NormFloat64()
	}
	for _, minimise := range []bool{false, true} {
		if minimise {
			for i := range y {
				y[i] = -y[i]
			}
		}
		c := calibration.Fit(s, nil, y, s, minimise)
		last, lastPercentile := math.Inf(-1), -1.
		for score := -5.; score < 35; score += .25 {
			v, _, _, p := c.At(score, 0)
			if minimise {
				v = -v
			}
			if v < last || p < lastPercentile || p < 0 || p > 100 {
				t.Fatalf("minimise %v: at %v value %v after %v, percentile %v after %v", minimise, score, v, last, p, lastPercentile)
			}
			last, lastPercentile = v, p
		}
	}
}

func TestPercentile(t *testing.T) {
	seen := make([]float64, 20001)
	for i := range seen {
		seen[i] = float64(i)
	}
	c := calibration.Fit(nil, nil, nil, seen, false)
	if len(c.Seen) != 1001 {
		t.Errorf("%d knots", len(c.Seen))
	}
	for score, want := range map[float64]float64{-1: 0, 0: 0, 5000: 25, 5003: 25.015, 20000: 100, 1e9: 100} {
		if v, _, _, p := c.At(score, 0); math.Abs(p-want) > 1e-9 || !math.IsNaN(v) {
			t.Errorf("percentile of %v: %v, want %v; value %v without labels", score, p, want, v)
		}
	}
	few := calibration.Fit(nil, nil, nil, []float64{1, 2, 2, 2, 3}, false)
	if _, _, _, p := few.At(2, 0); p != 50 {
		t.Errorf("the middle of five is at %v %%", p)
	}
}

// TestTopIsAProbability draws scores and labels that agree as much at the top as
// elsewhere, and counts who is among the best.
func TestTopIsAProbability(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 2))
	for _, minimise := range []bool{false, true} {
		var bins, sum, hits [4]float64
		all := 0.
		for range 40 {
			const n, labels = 5000, 118
			s, y := make([]float64, n), make([]float64, n)
			for i := range s {
				s[i] = rng.NormFloat64()
				y[i] = .9*s[i] + math.Sqrt(1-.81)*rng.NormFloat64()
			}
			limit := slices.Sorted(slices.Values(y))[n-n/100]
			given := slices.Clone(y[:labels])
			if minimise {
				for i := range given {
					given[i] = -given[i]
				}
			}
			c := calibration.Fit(s[:labels], nil, given, s, minimise)
			for i := labels; i < n; i++ {
				p := c.Top(s[i])
				all += p / 40 / (n - labels)
				at := 0
				for _, edge := range []float64{.02, .1, .3} {
					if p >= edge {
						at++
					}
				}
				bins[at]++
				sum[at] += p
				if y[i] >= limit {
					hits[at]++
				}
			}
		}
		if all < .008 || all > .012 {
			t.Errorf("minimise %v: the mean probability is %.4f, want .01", minimise, all)
		}
		for i := range bins {
			said, was := sum[i]/bins[i], hits[i]/bins[i]
			t.Logf("said %.4f, was %.4f of %.0f", said, was, bins[i])
			// Agreement is taken for less than the labels show, so the highest
			// probabilities are too low here.
			if math.Abs(said-was) > .015+.35*was {
				t.Errorf("minimise %v: said %.3f, was %.3f", minimise, said, was)
			}
		}
	}
	if c := calibration.Fit([]float64{1, 2, 3, 4, 5, 6}, nil, []float64{6, 5, 4, 3, 2, 1}, nil, false); math.Abs(c.Top(6)-.01) > 1e-9 {
		t.Errorf("scores that say nothing give %.3f, want 1 %%", c.Top(6))
	}
}

// TestTopOfFewLabels counts who is among the best where labels are few and agree less at
// the top than elsewhere, as they do in benchmarks.
func TestTopOfFewLabels(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 3))
	count, sum, hits := 0., 0., 0.
	for range 60 {
		const n, labels = 3000, 30
		s, y := make([]float64, n), make([]float64, n)
		for i := range s {
			s[i] = rng.NormFloat64()
			y[i] = s[i] + (.4+.4*max(s[i], 0))*rng.NormFloat64()
		}
		limit := slices.Sorted(slices.Values(y))[n-n/100]
		c := calibration.Fit(s[:labels], nil, y[:labels], s, false)
		for i := labels; i < n; i++ {
			if p := c.Top(s[i]); p >= .2 {
				count++
				sum += p
				if y[i] >= limit {
					hits++
				}
			}
		}
	}
	t.Logf("said %.3f, was %.3f of %.0f", sum/count, hits/count, count)
	if sum > 1.05*hits {
		t.Errorf("said %.3f, was %.3f", sum/count, hits/count)
	}
}

// TestTopOfLabelsThatCrowd counts who is among the best where labels crowd below a limit,
// so that scores tell the best from the good less well than the good from the bad.
func TestTopOfLabelsThatCrowd(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 4))
	count, sum, hits := 0., 0., 0.
	for range 60 {
		const n, labels = 3000, 40
		s, y := make([]float64, n), make([]float64, n)
		for i := range s {
			s[i] = rng.NormFloat64()
			y[i] = 90 - 10*math.Exp(-1.5*s[i]) + rng.NormFloat64()
		}
		limit := slices.Sorted(slices.Values(y))[n-n/100]
		c := calibration.Fit(s[:labels], nil, y[:labels], s, false)
		for i := labels; i < n; i++ {
			if p := c.Top(s[i]); p >= .1 {
				count++
				sum += p
				if y[i] >= limit {
					hits++
				}
			}
		}
	}
	t.Logf("said %.3f, was %.3f of %.0f", sum/count, hits/count, count)
	if sum > 1.65*hits {
		t.Errorf("said %.3f, was %.3f", sum/count, hits/count)
	}
}

// TestTopOfATask compares cached networks and those that only the student ranks, of
// models of today and of before.
func TestTopOfATask(t *testing.T) {
	s, y := make([]float64, 200), make([]float64, 200)
	rng := rand.New(rand.NewPCG(7, 2))
	for i := range s {
		s[i] = rng.NormFloat64()
		y[i] = s[i] + .3*rng.NormFloat64()
	}
	task := encoders.Task{Calibration: calibration.Fit(s, nil, y, nil, false)}
	_, _, _, percentile := task.At(2, 0, true)
	if got, want := task.Top(percentile, true), task.Calibration.Top(2); got != want || got != task.Top(percentile, false) {
		t.Errorf("%v, the calibration says %v", got, want)
	}
	nothing := 0.
	task.Unseen = &calibration.Map{Agreement: &nothing}
	if got := task.Top(percentile, false); math.Abs(got-.01) > 1e-9 {
		t.Errorf("a student whose scores say nothing gives %v", got)
	}
	last := 0.
	for percentile := 0.; percentile <= 100; percentile += .25 {
		p := task.Top(percentile, true)
		if p < last || p > 1 {
			t.Fatalf("%v at %v %%, %v before", p, percentile, last)
		}
		last = p
	}
	if last < .5 {
		t.Errorf("the best has %v", last)
	}
	if p := task.Top(math.NaN(), true); !math.IsNaN(p) {
		t.Errorf("%v for an unknown candidate", p)
	}

	for text, want := range map[string]float64{
		`{"score":[1],"value":[1],"spread":[1],"seen":[1,2],"agreement":0.8}`:          math.NaN(),
		`{"score":[1],"value":[1],"spread":[1],"seen":[1,2],"agreement_at_top":0}`:     .01,
		`{"score":[1],"value":[1],"spread":[1],"seen":[1,2],"agreement_at_top":0.999}`: 1,
	} {
		var c calibration.Map
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.Check() != nil {
			t.Fatal(err, c.Check())
		}
		if got := c.Top(2); math.Abs(got-want) > 1e-3 && !math.IsNaN(want) || math.IsNaN(got) != math.IsNaN(want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if back, err := json.Marshal(c); err != nil || strings.Contains(text, "_at_top") != strings.Contains(string(back), "_at_top") {
			t.Errorf("%s is written as %s, %v", text, back, err)
		}
	}
	one := 1.
	if err := (&calibration.Map{Agreement: &one}).Check(); err == nil {
		t.Error("complete agreement was taken")
	}
}

// Labels of any size that a message can carry give finite answers.
func TestCalibrationOfAbsurdLabels(t *testing.T) {
	for _, unit := range []float64{1e308, 1e200, 1e-200, 1e-308, 1} {
		for _, minimise := range []bool{false, true} {
			var s, y []float64
			for i := range 40 {
				s, y = append(s, float64(i)), append(y, unit*math.Sin(float64(i)))
			}
			y[3], y[30] = 1.7e308, -1.7e308
			c := calibration.Fit(s, nil, y, nil, minimise)
			for score := -1.; score < 41; score += .5 {
				value, low, high, percentile := c.At(score, 0)
				for _, v := range []float64{value, low, high, percentile, c.Top(score)} {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatalf("unit %g: score %v answers %v in [%v, %v] at %v", unit, score, value, low, high, percentile)
					}
				}
				if low > value || value > high {
					t.Errorf("unit %g: %v outside [%v, %v]", unit, value, low, high)
				}
			}
		}
	}
}

// Of positive labels neither the value nor an end of its interval is below zero, whichever
// way is better and however far a candidate lies beyond them, and the interval holds the
// value. A model from before answers as it did.
func TestPositiveLabels(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	below := 0
	for _, labels := range []int{16, 60, 200} {
		for round := range 20 {
			minimise := round%2 == 1
			s, y := make([]float64, labels), make([]float64, labels)
			for i := range s {
				s[i] = rng.NormFloat64()
				y[i] = math.Exp(1.5*s[i] + .4*rng.NormFloat64())
				if minimise {
					s[i] = -s[i]
				}
			}
			task := encoders.Task{Calibration: calibration.Fit(s, nil, y, nil, minimise), Learnt: &encoders.Learnt{Low: -3, High: 9}}
			old := task
			old.Calibration.Least = 0
			for range 200 {
				score := 2 * rng.NormFloat64()
				for _, strange := range []encoders.Strangeness{{}, {Unknown: 1}} {
					if value, low, high, _ := task.AtStrange(score, 0, true, strange); !(0 <= low && low <= value && value <= high && high > 0) {
						t.Fatalf("%d labels, minimise %v: %v from %v to %v", labels, minimise, value, low, high)
					}
				}
				if value, _, _, _ := old.At(score, 0, true); value < 0 {
					below++
				}
			}
		}
	}
	if below == 0 {
		t.Error("no curve went below zero: the test shows nothing")
	}
}

// The standard deviation is that of labels around their values, in every third of
// the scores, and positive labels have no interval below zero.
func TestDeviation(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 2))
	draw := func() (score, label float64) {
		score = rng.NormFloat64()
		return score, math.Exp(1 + score + .4*rng.NormFloat64())
	}
	var squares, said [3]float64
	for range 40 {
		s, y := make([]float64, 200), make([]float64, 200)
		for i := range s {
			s[i], y[i] = draw()
		}
		task := encoders.Task{Labels: 200, Calibration: calibration.Fit(s, nil, y, nil, false)}
		for range 200 {
			score, label := draw()
			value, low, _, _ := task.At(score, 0, true)
			labels, sd, fails := task.Told(score, 0, true)
			if low < 0 || labels != 200 || fails == fails {
				t.Fatalf("low %v, %v labels, fails %v", low, labels, fails)
			}
			third := min(max(int(1.5*(score+1)), 0), 2)
			squares[third] += (label - value) * (label - value)
			said[third] += sd * sd
		}
	}
	for third := range squares {
		if ratio := math.Sqrt(squares[third] / said[third]); ratio < .6 || ratio > 1.5 {
			t.Errorf("third %d: labels deviate %.2f times as much as said", third, ratio)
		}
	}
	var before encoders.Task
	before.Calibration = calibration.Fit([]float64{1, 2, 3}, nil, []float64{1, 2, 3}, nil, false)
	before.Calibration.Deviation = nil
	if labels, sd, fails := before.Told(1, 0, true); labels == labels || sd == sd || fails == fails {
		t.Errorf("a model from before answers %v, %v, %v", labels, sd, fails)
	}
}
