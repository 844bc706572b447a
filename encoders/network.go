package encoders

import (
	"math"
	"math/rand/v2"

	"archflow/schemas"
)

// network is an encoder with perceptrons on its embedding: the shape of trained and
// served models.
type network struct {
	shape      shape
	vocabulary *Vocabulary
	encoder    encoder
	outputs    []mlp
	layout     layout
	operations *slot // the operation embedding [vocabulary, width], last

	readout, readoutBias *slot // nil without
}

// shape rebuilds a network around saved weights.
type shape struct {
	Encoder string        `json:"encoder"`
	Width   int           `json:"width"`
	Layers  int           `json:"layers"`
	Dropout float64       `json:"dropout"`
	Outputs []outputShape `json:"outputs"`
	Readout *outputShape  `json:"readout,omitempty"` // a linear layer of a pretext's loss, Hidden to Out
}

type outputShape struct {
	Name   string `json:"name"`
	Hidden int    `json:"hidden"`
	Out    int    `json:"out"`
}

func newNetwork(s shape, v *Vocabulary) (*network, error) {
	e, err := newEncoder(s.Encoder, s.Width, s.Layers, s.Dropout)
	if err != nil {
		return nil, err
	}
	n := &network{shape: s, vocabulary: v, encoder: e}
	e.declare(&n.layout)
	for _, o := range s.Outputs {
		n.outputs = append(n.outputs, newMLP(&n.layout, o.Name, e.dimension(), o.Hidden, o.Out))
	}
	if r := s.Readout; r != nil {
		n.readout = n.layout.add(r.Name+".weight", r.Hidden, r.Out)
		n.readoutBias = n.layout.add(r.Name+".bias", 1, r.Out)
	}
	n.operations = n.layout.add("operations", v.Len(), s.Width)
	return n, nil
}

// operationLimit bounds the first values of the operation embedding: about the
// spread of weight plus bias of a linear layer on a one-hot vector of seven.
const operationLimit = .5

func (n *network) init(rng *rand.Rand) []float32 {
	w := make([]float32, n.layout.size)
	n.encoder.init(w, rng)
	for i := range n.outputs {
		n.outputs[i].init(w, rng)
	}
	if n.readout != nil {
		fillLinear(n.readout.in(w), n.readoutBias.in(w), n.readout.rows, rng)
	}
	fillUniform(n.operations.in(w), operationLimit, rng)
	return w
}

// alike says that the encoders are of the same kind and size.
func (n *network) alike(o *network) bool {
	return n.shape.Encoder == o.shape.Encoder && n.shape.Width == o.shape.Width && n.shape.Layers == o.shape.Layers
}

// table returns the encoder's tables for these weights, in the memory of old.
func (n *network) table(old, w []float32) []float32 {
	t := resized(old, n.operations.rows*n.encoder.tableWidth())
	n.encoder.tables(t, w, n.operations)
	return t
}

// Nodes per batch of inference: enough to share states and for the matrix product, few
// enough for the memory and for all cores.
const (
	minNodes = 512
	maxNodes = 16384
	maxEdges = 4 * maxNodes
)

// cut appends the ends of consecutive parts of rows, each of at least one graph
// and of about as many nodes: fewer for an encoder that needs much memory, and of graphs
// with many edges.
func cut(ends []int, e encoder, g *schemas.Graphs, rows []int) []int {
	all := 0
	for _, i := range rows {
		all += int(g.NodeStart[i+1] - g.NodeStart[i])
	}
	want := min(max(all/8, minNodes), maxNodes*keptByGated/max(e.keeps(), keptByGated))
	nodes, edges := 0, 0
	for r, i := range rows {
		nodes += int(g.NodeStart[i+1] - g.NodeStart[i])
		edges += int(g.EdgeStart[i+1]-g.EdgeStart[i]) / 2
		if nodes >= want || edges >= maxEdges || r == len(rows)-1 {
			ends = append(ends, r+1)
			nodes, edges = 0, 0
		}
	}
	return ends
}

// inference is the memory of one goroutine that runs networks forward.
type inference struct {
	batch  batch
	tape   tape
	memory arena
}

// embed returns the embeddings of a few graphs, valid until the next call.
func (f *inference) embed(n *network, w, table []float32, g *schemas.Graphs, rows []int) []float32 {
	n.encoder.arrange(&f.batch, n.vocabulary, g, rows, math.MaxInt32)
	return n.encoder.forward(&f.tape, w, table, n.operations, &f.batch, nil)
}

// output returns the embeddings of a few graphs and their output number o,
// [rows, out], both valid until the next call.
func (f *inference) output(n *network, w, table []float32, o int, g *schemas.Graphs, rows []int) (z, y []float32) {
	z = f.embed(n, w, table, g, rows)
	f.memory.reset()
	p := &n.outputs[o]
	y = f.memory.take(len(rows) * p.out)
	p.forward(y, f.memory.take(len(rows)*p.hidden), z, w)
	return z, y
}
