package micro

import (
	"math"
	"math/rand/v2"
)

const (
	batchSize = 32
	epochs    = 8
	rate      = 0.03 // of learning, falling to 0 along a line
)

// Train trains the network of a from the weights and the order of points that
// seed draws, and returns its accuracy on the test points in percent. The
// numbering of a's nodes changes nothing. A network that diverges has the
// accuracy of guessing, 25.
func (t *Task) Train(a Architecture, seed uint64) (accuracy float64) {
	rng := rand.New(rand.NewPCG(seed, 0x747261696e))
	w := newNetwork(a.cell().canonical(), taskInputs, taskClasses, batchSize)
	w.draw(rng)
	adam := newAdam(len(w.weights))
	order := all(trainPoints)
	class := make([]int, batchSize)
	left := epochs * (trainPoints / batchSize)
	falling := rate / float64(left)
	for range epochs {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for at := 0; at+batchSize <= trainPoints; at += batchSize {
			t.train.gather(w.points, class, order[at:at+batchSize])
			w.forward()
			w.loss(class)
			w.backward()
			adam.step(w.weights, w.slopes, falling*float64(left))
			left--
		}
	}
	return t.accuracy(w)
}

// all returns 0, 1, ..., n-1.
func all(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// accuracy returns how many of the test points w classifies right, in percent.
// The whole set is one batch, by which its values are standardised.
func (t *Task) accuracy(w *network) float64 {
	test := newNetwork(w.c, taskInputs, taskClasses, testPoints)
	copy(test.weights, w.weights)
	copy(test.points, t.test.x)
	test.forward()
	return test.score(t.test.class)
}

// score returns how many points are classified right, in percent, or that of
// guessing where a logit is no number.
func (w *layers) score(class []int) float64 {
	for _, v := range w.logits {
		if !finite(v) {
			return 100 / float64(w.classes)
		}
	}
	return 100 * float64(w.loss(class)) / float64(w.batch)
}

// adam is the optimiser of Kingma and Ba (2015), after cutting the gradient to
// a length of 1 at most.
type adam struct {
	mean, square []float64
	decayMean    float64 // powers of the two decay rates so far
	decaySquare  float64
}

func newAdam(n int) *adam {
	return &adam{make([]float64, n), make([]float64, n), 1, 1}
}

func (a *adam) step(weights, slopes []float64, rate float64) {
	const keepMean, keepSquare = 0.9, 0.99
	a.decayMean = float64(a.decayMean * keepMean)
	a.decaySquare = float64(a.decaySquare * keepSquare)
	cut := 1 / max(1, math.Sqrt(dot(slopes, slopes)))
	rate /= 1 - a.decayMean
	for i, g := range slopes {
		g = float64(g * cut)
		a.mean[i] += float64((1 - keepMean) * (g - a.mean[i]))
		a.square[i] += float64((1 - keepSquare) * (float64(g*g) - a.square[i]))
		weights[i] -= rate * a.mean[i] / (math.Sqrt(a.square[i]/(1-a.decaySquare)) + 1e-8)
	}
}
