package micro

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/stat"
)

func perceptrons(t *testing.T) (rows []PerceptronRow, file []byte) {
	file, err := os.ReadFile("perceptron.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	rows, err = read[PerceptronRow](bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return rows, file
}

func TestPerceptronTableIsWhatTrainingGives(t *testing.T) {
	rows, file := perceptrons(t)
	for _, workers := range []int{1, 3} {
		if again := MakePerceptrons(6, workers, func() {}); !reflect.DeepEqual(again, rows[:6]) {
			t.Errorf("%d workers made other rows; make it again with make micro", workers)
		}
	}
	var again bytes.Buffer
	if err := Write(&again, rows); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), file) {
		t.Error("the same rows were written as other bytes")
	}
	var one, two []float64
	for _, r := range rows {
		one, two = append(one, r.Labels.Seed1), append(two, r.Labels.Seed2)
	}
	if tau := stat.Kendall(one, two, nil); len(rows) < 1000 || tau < 0.75 {
		t.Errorf("%d rows, Kendall tau between the two seeds %.3f; want at least 1000 and .75", len(rows), tau)
	}
}

func TestPerceptronGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, activation := range []string{"relu", "tanh", "square"} {
		for _, residual := range []bool{false, true} {
			p := Perceptron{Depth: 3, Width: 4, Activation: activation, Residual: residual}
			w := newPerceptron(p, 5)
			for i := range w.weights {
				w.weights[i] = bell(rng) / 2
			}
			for i := range w.outs[0] {
				w.outs[0][i] = bell(rng)
			}
			classes := []int{0, 3, 1, 2, 1}
			w.forward()
			w.loss(classes)
			w.backward()
			for i := range w.weights {
				const step = 1e-6
				at := w.weights[i]
				w.weights[i] = at + step
				up := crossEntropy(w, classes)
				w.weights[i] = at - step
				down := crossEntropy(w, classes)
				w.weights[i] = at
				if want := (up - down) / (2 * step); math.Abs(want-w.slopes[i]) > 1e-6*(1+math.Abs(want)) {
					t.Fatalf("%s, residual %v: the loss changes by %v with weight %d, the gradient says %v", activation, residual, want, i, w.slopes[i])
				}
			}
		}
	}
}

// crossEntropy is the loss whose gradient layers.loss leaves.
func crossEntropy(w *perceptron, classes []int) float64 {
	w.forward()
	total := 0.0
	for i, class := range classes {
		s := 0.0
		for c := range w.classes {
			s += math.Exp(w.logits[c*w.batch+i])
		}
		total += math.Log(s) - w.logits[class*w.batch+i]
	}
	return total / float64(len(classes))
}
