package encoders

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"archflow/schemas"
)

// encoder is the shape of a network from graphs to embeddings. It holds no
// numbers: weights come as flat slices in the order of its layout.
type encoder interface {
	// declare adds the parameters to l, the operation embedding excepted.
	declare(l *layout)
	// init draws the first weights.
	init(w []float32, rng *rand.Rand)
	// arrange fills b with the named graphs in the form that forward reads. At most
	// maxNodes nodes share a colour.
	arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, most int32)
	// keeps is about how many floats a step keeps for a node, divided by width and
	// layers.
	keeps() int
	// dimension is the length of an embedding.
	dimension() int
	// tableWidth is the length of a row of the encoder's tables: the products that it
	// computes once for an operation instead of once for a node. 0: none.
	tableWidth() int
	// tables fills the table rows of every operation.
	tables(table, w []float32, operations *slot)
	// tablesBack adds the gradients of the weights, given that of the tables.
	tablesBack(dw, dtable, w []float32, operations *slot)
	// forward returns the embeddings z [graphs, dimension], which lie on the tape. With
	// rng, in training, it applies dropout, to equal states of the batch alike, may
	// normalise over the batch, and keeps the values that backward needs; without, row i
	// depends on graph i alone, to the bit.
	forward(t *tape, w, table []float32, operations *slot, b *batch, rng *rand.PCG) []float32
	// backward adds the gradients of the weights and tables, given dz and the
	// tape of the same batch.
	backward(t *tape, dw, dtable, dz, w []float32, operations *slot, b *batch)
}

// noTables is for encoders without tables.
type noTables struct{}

func (noTables) tableWidth() int                                      { return 0 }
func (noTables) tables(table, w []float32, operations *slot)          {}
func (noTables) tablesBack(dw, dtable, w []float32, operations *slot) {}

// tape is the memory of one batch at a time. Each encoder decides which values its
// backward needs: slices by layer, or a stack, on which every part of a layer pushes and
// from which its backward pops.
type tape struct {
	arena
	layers   [][3][]float32
	stack    [][]float32
	training bool
	seed     uint64 // of dropout that is drawn again in backward
}

func (t *tape) reset() {
	t.arena.reset()
	t.layers, t.stack = t.layers[:0], t.stack[:0]
}

// begin resets the tape for a pass whose rng is nil outside training.
func (t *tape) begin(rng *rand.PCG) {
	t.reset()
	t.training, t.seed = rng != nil, 0
	if t.training {
		t.seed = rng.Uint64()
	}
}

func (t *tape) push(x []float32) { t.stack = append(t.stack, x) }

func (t *tape) pop() []float32 {
	last := len(t.stack) - 1
	x := t.stack[last]
	t.stack = t.stack[:last]
	return x
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
	case "flowerformer":
		return &flowerFormer{width: width, layers: layers, dropout: float32(dropout)}, nil
	case "digcn":
		return &diGCN{width: width, layers: layers, dropout: float32(dropout)}, nil
	case "mlp":
		return &mlpEncoder{width: width, layers: layers, dropout: float32(dropout)}, nil
	case "transformer":
		return &transformer{width: width, layers: layers, dropout: float32(dropout)}, nil
	}
	return nil, fmt.Errorf("encoder %.40q is unknown: choose %s", name, strings.Join(Names, ", "))
}

// Names are those of the encoders.
var Names = []string{"resgated", "gin", "flowerformer", "digcn", "mlp", "transformer"}

// DefaultSize returns the width and the layers of an encoder as published, or
// those of ResGatedGCN.
func DefaultSize(encoder string) (width, layers int) {
	if encoder == "flowerformer" {
		return 64, 9
	}
	return 128, 3
}
