package micro

import (
	"math"
	"math/rand/v2"
)

// Perceptron says how a multilayer perceptron is built and trained. There is no
// graph: these numbers and words are the whole architecture.
type Perceptron struct {
	Depth        int     `json:"depth"` // hidden layers
	Width        int     `json:"width"` // values of each
	Activation   string  `json:"activation"`
	Residual     bool    `json:"residual"`      // a layer adds to its input, from the second on
	LearningRate float64 `json:"learning_rate"` // at the start; it falls to 0 along a line
	WeightDecay  float64 `json:"weight_decay"`  // apart from the gradient, as a share of the learning rate
	Batch        int     `json:"batch"`
}

const (
	perceptronPoints = 320 // of the task's training points: few, so that weights can be too many
	perceptronEpochs = 24
)

// SamplePerceptron draws depth, activation, shortcuts and batch uniformly, width
// and the two rates uniformly in their logarithms.
func SamplePerceptron(rng *rand.Rand) Perceptron {
	between := func(low, high float64) float64 { // powers of ten
		return exp((low + float64((high-low)*rng.Float64())) * math.Ln10)
	}
	return Perceptron{
		Depth:        1 + rng.IntN(5),
		Width:        int(math.Floor(between(0.5, 1.6))),
		Activation:   Operations[opReLU+rng.IntN(3)],
		Residual:     rng.IntN(2) == 1,
		LearningRate: digits(between(-2.8, -0.1), 3),
		WeightDecay:  digits(between(-3, 0.3), 3),
		Batch:        8 << rng.IntN(5),
	}
}

// perceptron is a network of hidden layers with weights.
type perceptron struct {
	layers
	Perceptron
	hidden      []affine
	head        affine
	outs        [][]float64 // [depth+1][rows][batch]: the points, and what leaves each layer
	sums        [][]float64 // [depth+1], what each layer activates
	dOuts, dSum []float64
}

func newPerceptron(p Perceptron, batch int) *perceptron {
	w := &perceptron{layers: layers{classes: taskClasses, batch: batch}, Perceptron: p}
	in := taskInputs
	w.outs, w.sums = append(w.outs, make([]float64, in*batch)), append(w.sums, nil)
	for range p.Depth {
		w.hidden = append(w.hidden, w.place(p.Width, in))
		in = p.Width
		w.outs, w.sums = append(w.outs, make([]float64, in*batch)), append(w.sums, make([]float64, in*batch))
	}
	w.head = w.place(w.classes, in)
	w.dOuts, w.dSum = make([]float64, in*batch), make([]float64, in*batch)
	w.reserve()
	return w
}

// adds says whether layer i adds to its input.
func (w *perceptron) adds(i int) bool { return w.Residual && i > 0 }

// forward computes the logits of the points.
func (w *perceptron) forward() {
	for i, l := range w.hidden {
		x, sum, y := w.outs[i], w.sums[i+1], w.outs[i+1]
		w.affineForward(l, sum, x)
		for j, v := range sum {
			y[j] = activate(w.Activation, v)
		}
		if w.adds(i) {
			add(y, x)
		}
	}
	w.affineForward(w.head, w.logits, w.outs[w.Depth])
}

// backward turns the gradient of the loss by the logits into the gradient by
// the weights, in slopes.
func (w *perceptron) backward() {
	clear(w.slopes)
	clear(w.dOuts)
	w.affineBackward(w.head, w.dOuts, w.logits, w.outs[w.Depth])
	for i := w.Depth - 1; i >= 0; i-- {
		for j, v := range w.sums[i+1] {
			w.dSum[j] = w.dOuts[j] * slope(w.Activation, v)
		}
		if i == 0 {
			w.affineBackward(w.hidden[i], nil, w.dSum, w.outs[i])
			return
		}
		if !w.adds(i) {
			clear(w.dOuts)
		}
		w.affineBackward(w.hidden[i], w.dOuts, w.dSum, w.outs[i])
	}
}

func activate(name string, x float64) float64 {
	switch name {
	case Operations[opReLU]:
		return max(x, 0)
	case Operations[opTanh]:
		return tanh(x)
	}
	return x * x
}

// slope returns the derivative of activate.
func slope(name string, x float64) float64 {
	switch name {
	case Operations[opReLU]:
		if x > 0 {
			return 1
		}
		return 0
	case Operations[opTanh]:
		y := tanh(x)
		return 1 - float64(y*y)
	}
	return 2 * x
}

// TrainPerceptron trains p from the weights and the order of points that seed
// draws, and returns its accuracy on the test points in percent; 25, that of
// guessing, where it diverges.
func (t *Task) TrainPerceptron(p Perceptron, seed uint64) (accuracy float64) {
	rng := rand.New(rand.NewPCG(seed, 0x70657263))
	w := newPerceptron(p, p.Batch)
	for _, l := range w.hidden {
		w.drawMatrix(l, rng)
	}
	w.drawMatrix(w.head, rng)
	adam := newAdam(w.size)
	order, class := all(perceptronPoints), make([]int, p.Batch)
	steps := perceptronEpochs * (perceptronPoints / p.Batch)
	for left := steps; left > 0; {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for at := 0; at+p.Batch <= len(order); at += p.Batch {
			t.train.gather(w.outs[0], class, order[at:at+p.Batch])
			w.forward()
			w.loss(class)
			w.backward()
			rate := p.LearningRate * float64(left) / float64(steps)
			keep := 1 - float64(rate*p.WeightDecay)
			for i := range w.weights {
				w.weights[i] *= keep
			}
			adam.step(w.weights, w.slopes, rate)
			left--
		}
	}
	test := newPerceptron(p, testPoints)
	copy(test.weights, w.weights)
	copy(test.outs[0], t.test.x)
	test.forward()
	return test.score(t.test.class)
}
