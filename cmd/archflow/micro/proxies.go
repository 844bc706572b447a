package micro

import (
	"math"
	"math/rand/v2"
)

const (
	proxyPoints   = 64
	proxyNetworks = 3 // drawings of the weights, whose scores are averaged
)

// Proxies scores the network of a without training it, at about three percent
// of the cost: more is meant to be better.
//
//	params     the number of weights
//	grad_norm  logarithm of the length of the first gradient
//	snip       logarithm of the sum of |weight * gradient| (Lee et al. 2019)
//	nwot       log determinant of the points' agreement in the signs of all
//	           that enters a relu, tanh or square (after Mellor et al. 2021)
//
// They follow from a and t alone, whatever the numbering of a's nodes.
func Proxies(a Architecture, t *Task) map[string]float64 {
	w := newNetwork(a.cell().canonical(), taskInputs, taskClasses, proxyPoints)
	rows, class := make([]int, proxyPoints), make([]int, proxyPoints)
	for i := range rows {
		rows[i] = i
	}
	t.train.gather(w.points, class, rows)
	var length, snip, nwot float64
	for seed := range uint64(proxyNetworks) {
		w.draw(rand.New(rand.NewPCG(seed, 0x70726f7879)))
		w.forward()
		nwot += w.agreement() / proxyNetworks
		w.loss(class)
		w.backward()
		length += math.Log(math.Sqrt(dot(w.slopes, w.slopes))+1e-9) / proxyNetworks
		sensitivity := 0.0
		for i, v := range w.weights {
			sensitivity += math.Abs(float64(v * w.slopes[i]))
		}
		snip += math.Log(sensitivity+1e-9) / proxyNetworks
	}
	scores := map[string]float64{"params": float64(len(w.weights)), "grad_norm": length, "snip": snip, "nwot": nwot}
	for name, v := range scores {
		if !finite(v) {
			delete(scores, name) // the network overflows; it has no such score
		}
	}
	return scores
}

// agreement returns the log determinant of the matrix of how many signs each
// two points share, per sign, with a little added to the diagonal.
func (w *network) agreement() float64 {
	b, n := w.batch, len(w.c.ops)
	kernel := make([]float64, b*b)
	signs := 0
	for i, x := range w.sums {
		switch w.c.ops[i%n] {
		case opReLU, opTanh, opSquare:
		default:
			continue
		}
		for r := range width {
			row := x[r*b : (r+1)*b]
			signs++
			for p := range b {
				for q := range p + 1 {
					if (row[p] > 0) == (row[q] > 0) {
						kernel[p*b+q]++
					}
				}
			}
		}
	}
	for p := range b {
		for q := range p + 1 {
			kernel[p*b+q] /= float64(max(signs, 1))
		}
		kernel[p*b+p] += 0.01
	}
	return logDeterminant(kernel, b)
}

// logDeterminant factors a positive definite matrix, given by its lower
// triangle, in place (Cholesky).
func logDeterminant(m []float64, n int) float64 {
	total := 0.0
	for i := range n {
		for j := range i + 1 {
			s := m[i*n+j] - dot(m[i*n:i*n+j], m[j*n:j*n+j])
			if i == j {
				m[i*n+i] = math.Sqrt(s)
				total += math.Log(s)
			} else {
				m[i*n+j] = s / m[j*n+j]
			}
		}
	}
	return total
}
