package encoders

import (
	"math/rand/v2"

	"archflow/schemas"
)

// maskShare is how many of a graph's operations a masked autoencoder hides.
const maskShare = .5

// gmae is a masked autoencoder: the encoder sees graphs in which half of the
// operations are hidden, and the decoder names them from the embeddings of their
// nodes. The loss is their mean cross-entropy. Source: Jing et al., "Graph
// masked autoencoder enhanced predictor for neural architecture search", 2022.
type gmae struct {
	shown  schemas.Graphs
	hidden []int32 // [nodes] code to be named, -1 where it is shown
}

func (m *gmae) nodewise() bool { return true }

func (m *gmae) decoder(operations int) (decoder, readout outputShape) {
	return outputShape{"masked", 128, operations}, outputShape{}
}

func (m *gmae) view(g *schemas.Graphs, rows []int, v *Vocabulary, random *rand.Rand) *schemas.Graphs {
	m.shown.Reset()
	m.hidden = m.hidden[:0]
	for _, i := range rows {
		ops, edges := g.Graph(i)
		m.shown.Append(ops, edges)
		from := len(m.hidden)
		always := random.IntN(max(len(ops), 1)) // so that each graph hides one
		for j, op := range ops {
			code := int32(-1)
			if j == always || random.Float64() < maskShare {
				code = v.Code(op)
				m.shown.Ops[from+j] = schemas.NoSymbol
			}
			m.hidden = append(m.hidden, code)
		}
	}
	return &m.shown
}

func (m *gmae) loss(doutput, output, _, _ []float32) float64 {
	out, masked, loss := len(output)/len(m.hidden), 0, 0.
	known := func(code int32) bool { return code >= 0 && int(code) < out }
	for _, code := range m.hidden {
		if known(code) {
			masked++
		}
	}
	for i, code := range m.hidden {
		if known(code) {
			loss += operationLoss(doutput[i*out:][:out], output[i*out:][:out], code, 1/float64(masked))
		}
	}
	return loss / float64(max(masked, 1))
}
