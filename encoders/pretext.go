package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"archflow/schemas"
)

// pretext is a task on graphs alone, other than flow and proxies: a view of the graphs
// for the encoder, and a loss of the decoder's output.
type pretext interface {
	// nodewise says whether the decoder reads the embeddings of nodes instead of
	// those of graphs.
	nodewise() bool
	// decoder is the perceptron on the embeddings. readout, unless its Name is
	// empty, is a linear layer of the loss's own, of Hidden inputs.
	decoder(operations int) (decoder, readout outputShape)
	// view returns the encoder's input for the named graphs, valid until the next call,
	// and keeps the targets.
	view(g *schemas.Graphs, rows []int, v *Vocabulary, random *rand.Rand) *schemas.Graphs
	// loss compares the decoder's output for the last view, [graphs or nodes, out], with
	// the targets, writes its gradient to doutput, and adds that of the readout w to dw.
	loss(doutput, output, w, dw []float32) float64
}

// Pretexts are the names of TrunkConfig.Pretext.
var Pretexts = []string{"graphcl", "arch2vec", "gmae"}

// newPretext returns the pretext of that name for that many codes of operations, nil for
// "".
func newPretext(name string, operations int) (pretext, error) {
	switch name {
	case "":
		return nil, nil
	case "graphcl":
		return &graphCL{}, nil
	case "arch2vec", "gmae":
		if operations < 2 {
			return nil, fmt.Errorf("pretext %s: it predicts operations and so needs them from the start", name)
		}
		if name == "gmae" {
			return &gmae{}, nil
		}
		return &arch2Vec{}, nil
	}
	return nil, fmt.Errorf("pretext %.40q is unknown: choose one of %v", name, Pretexts)
}

// operationLoss adds to dlogits the gradient of the cross-entropy of an operation
// under the softmax of logits, times weight, and returns the cross-entropy.
func operationLoss(dlogits, logits []float32, operation int32, weight float64) float64 {
	top, sum := float64(slices.Max(logits)), 0.
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	for i, l := range logits {
		dlogits[i] += float32(weight * math.Exp(float64(l)-top) / sum)
	}
	dlogits[operation] -= float32(weight)
	return math.Log(sum) + top - float64(logits[operation])
}

// pretextStep is a step of the trunk's pretext on the named graphs.
func (t *Trunk) pretextStep(g *schemas.Graphs, rows []int) Losses {
	f := t.training
	view := t.pretext.view(g, rows, f.vocabulary, rand.New(f.random))
	for len(t.rows) < view.Len() {
		t.rows = append(t.rows, len(t.rows))
	}
	for i := range t.rows {
		t.rows[i] = i
	}
	f.forward(view, t.rows[:view.Len()])
	w, dw := f.readouts()
	losses := Losses{Rows: len(rows)}
	losses.Total = t.pretext.loss(f.doutput[0], f.output[0], w, dw)
	losses.Skipped = !f.backward()
	return losses
}
