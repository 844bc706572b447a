package encoders

import (
	"fmt"
	"math/rand/v2"
)

// encoder is the shape of a network from graphs to embeddings. It holds no
// numbers: weights come as flat slices in the order of its layout.
type encoder interface {
	// declare adds the parameters to l, the operation embedding excepted.
	declare(l *layout)
	// init draws the first weights.
	init(w []float32, rng *rand.Rand)
	// depth is the number of layers, over which a node sees that far.
	depth() int
	// dimension is the length of an embedding.
	dimension() int
	// tableWidth is the length of a row of the encoder's tables: what it
	// computes once for an operation instead of once for a node. 0: none.
	tableWidth() int
	// tables fills the table rows of every operation.
	tables(table, w []float32, operations *slot)
	// tablesBack adds the gradients of the weights, given that of the tables.
	tablesBack(dw, dtable, w []float32, operations *slot)
	// forward returns the embeddings z [graphs, dimension], which lie on the
	// tape. With rng it applies dropout, to equal states of the batch alike, and
	// keeps what backward needs; without,
	// row i depends on graph i alone, to the bit.
	forward(t *tape, w, table []float32, operations *slot, b *batch, rng *rand.PCG) []float32
	// backward adds the gradients of the weights and tables, given dz and the
	// tape of the same batch.
	backward(t *tape, dw, dtable, dz, w []float32, operations *slot, b *batch)
}

// tape is the memory of one batch at a time. What an encoder keeps of a layer
// for its backward is up to the encoder.
type tape struct {
	arena
	layers [][3][]float32
}

func (t *tape) reset() {
	t.arena.reset()
	t.layers = t.layers[:0]
}

func (t *tape) keep(a, b, c []float32) { t.layers = append(t.layers, [3][]float32{a, b, c}) }

func (t *tape) kept(layer int) (a, b, c []float32) {
	k := &t.layers[layer]
	return k[0], k[1], k[2]
}

// newEncoder returns the encoder of that name.
func newEncoder(name string, width, layers int, dropout float64) (encoder, error) {
	switch name {
	case "resgated":
		return &resGated{width: width, layers: layers, dropout: float32(dropout)}, nil
	case "gin":
		return &gin{width: width, layers: layers, dropout: float32(dropout)}, nil
	}
	return nil, fmt.Errorf("encoder %.40q is unknown: choose resgated or gin", name)
}
