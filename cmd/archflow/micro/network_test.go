package micro

import (
	"math"
	"math/rand/v2"
	"testing"
)

// crossEntropy is the loss whose gradient the network computes.
func (w *network) crossEntropy(classes []int) float64 {
	w.forward()
	total := 0.0
	for i, class := range classes {
		s := 0.0
		for c := range w.classes {
			s += math.Exp(w.logits[c*w.batch+i])
		}
		total += math.Log(s) - w.logits[class*w.batch+i]
	}
	return total / float64(w.batch)
}

func TestGradientAgainstFiniteDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		a := Sample(rng)
		w := newNetwork(a.cell(), 5, 3, 7)
		w.draw(rng)
		for i := range w.points {
			w.points[i] = bell(rng)
		}
		classes := make([]int, 7)
		for i := range classes {
			classes[i] = rng.IntN(3)
		}
		w.forward()
		w.loss(classes)
		w.backward()
		for i := range w.weights {
			const h = 1e-6
			old := w.weights[i]
			w.weights[i] = old + h
			up := w.crossEntropy(classes)
			w.weights[i] = old - h
			down := w.crossEntropy(classes)
			w.weights[i] = old
			want := (up - down) / (2 * h)
			if got := w.slopes[i]; math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
				t.Fatalf("%s: gradient of weight %d is %g, finite differences say %g", a.Arch, i, got, want)
			}
		}
	}
}
