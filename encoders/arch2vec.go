package encoders

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

const (
	// latentWidth is the length of a node's latent vector.
	latentWidth = 16
	// latentWeight is that of the divergence beside the reconstruction.
	latentWeight = .01
)

// arch2Vec is a variational autoencoder: the decoder gives every node mean m and
// log variance v of a latent vector, from whose sample
//
//	l = m + exp(v/2) noise
//
// the operation is read by a linear layer and a softmax, and an edge between two
// nodes of a graph as sigmoid(l_i l_j), directions left out. The loss is the
// mean cross-entropy of the operations, plus that of all pairs of nodes, plus
// latentWeight times the mean divergence from the standard normal. Source: Yan et
// al., "Does unsupervised architecture representation learning help neural
// architecture search?", 2020.
type arch2Vec struct {
	shown          schemas.Graphs
	codes          []int32   // [nodes]
	noise          []float32 // [nodes, latentWidth]
	latent, back   []float32 // [nodes, latentWidth]
	logits, dlogit []float32 // [nodes, operations]
	joined         []bool    // [nodes, nodes] of one graph
}

func (a *arch2Vec) nodewise() bool { return true }

func (a *arch2Vec) decoder(operations int) (decoder, readout outputShape) {
	return outputShape{"latent", 128, 2 * latentWidth}, outputShape{"readout", latentWidth, operations}
}

func (a *arch2Vec) view(g *schemas.Graphs, rows []int, v *Vocabulary, random *rand.Rand) *schemas.Graphs {
	a.shown.Reset()
	for _, i := range rows {
		a.shown.Append(g.Graph(i))
	}
	a.codes, a.noise = a.codes[:0], resized(a.noise, len(a.shown.Ops)*latentWidth)
	for _, op := range a.shown.Ops {
		a.codes = append(a.codes, v.Code(op))
	}
	for i := range a.noise {
		a.noise[i] = float32(random.NormFloat64())
	}
	return &a.shown
}

// width is the length of a latent vector.
func (a *arch2Vec) width() int { return len(a.noise) / max(len(a.codes), 1) }

func (a *arch2Vec) loss(doutput, output, w, dw []float32) float64 {
	n, width := len(a.codes), a.width()
	a.latent, a.back = resized(a.latent, n*width), resized(a.back, n*width)
	clear(a.back)
	for i := range n {
		mean, variance := output[2*i*width:][:width], output[(2*i+1)*width:][:width]
		for c, m := range mean {
			a.latent[i*width+c] = m + float32(math.Exp(float64(variance[c])/2))*a.noise[i*width+c]
		}
	}
	loss := a.operations(w, dw) + a.edges()
	for i := range n {
		at := 2 * i * width
		for c := range width {
			m, v := float64(output[at+c]), float64(output[at+width+c])
			e, back, noise := math.Exp(v), float64(a.back[i*width+c]), float64(a.noise[i*width+c])
			share := latentWeight / float64(n)
			loss -= share * .5 * (1 + v - m*m - e)
			doutput[at+c] += float32(back + share*m)
			doutput[at+width+c] += float32(back*noise*math.Exp(v/2)/2 + share*.5*(e-1))
		}
	}
	return loss
}

// operations returns the loss of the operations and adds its gradients to that
// of the latent vectors and of the readout, weights and then bias.
func (a *arch2Vec) operations(w, dw []float32) float64 {
	n, width := len(a.codes), a.width()
	out := len(w) / (width + 1)
	weights, at := w[:width*out], width*out
	a.logits, a.dlogit = resized(a.logits, n*out), resized(a.dlogit, n*out)
	affine(a.logits, a.latent, weights, w[at:], width, out)
	clear(a.dlogit)
	loss := 0.
	for i, code := range a.codes {
		if int(code) < out {
			loss += operationLoss(a.dlogit[i*out:][:out], a.logits[i*out:][:out], code, 1/float64(n))
		}
	}
	affineBack(a.back, dw[:at], dw[at:], a.dlogit, a.latent, weights, width, out)
	return loss / float64(n)
}

// edges returns the loss of all pairs of nodes and adds its gradient to that of
// the latent vectors.
func (a *arch2Vec) edges() float64 {
	pairs, loss, width := 0, 0., a.width()
	for g := range a.shown.Len() {
		n := int(a.shown.NodeStart[g+1] - a.shown.NodeStart[g])
		pairs += n * (n - 1) / 2
	}
	for g := range a.shown.Len() {
		from, to := int(a.shown.NodeStart[g]), int(a.shown.NodeStart[g+1])
		n := to - from
		a.joined = resized(a.joined, n*n)
		clear(a.joined)
		_, edges := a.shown.Graph(g)
		for e := 0; e < len(edges); e += 2 {
			a.joined[int(edges[e])*n+int(edges[e+1])], a.joined[int(edges[e+1])*n+int(edges[e])] = true, true
		}
		for i := range n {
			li, di := a.latent[(from+i)*width:][:width], a.back[(from+i)*width:][:width]
			for j := range i {
				lj, dj := a.latent[(from+j)*width:][:width], a.back[(from+j)*width:][:width]
				x := float64(kernels.Dot(li, lj))
				p := 1 / (1 + math.Exp(-x))
				cost, d := math.Max(x, 0)+math.Log1p(math.Exp(-math.Abs(x))), p
				if a.joined[i*n+j] {
					cost, d = cost-x, p-1
				}
				loss += cost
				share := float32(d / float64(pairs))
				kernels.AddScaled(di, share, lj)
				kernels.AddScaled(dj, share, li)
			}
		}
	}
	return loss / float64(max(pairs, 1))
}
