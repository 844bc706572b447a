package encoders

import (
	"math"

	"archflow/schemas"
)

// Member is a trained encoder with a head of one or more columns, each a score:
// more is better. It is immutable and safe for concurrent use.
type Member struct {
	network *network
	weights []float32
	table   []float32
	shift   []float64 // [columns]: score = (head - shift) * factor
	factor  []float64
}

// newMember freezes a trained network. Scores are standardised over rows, so that those
// of several members can be averaged.
func newMember(n *network, weights []float32, g *schemas.Graphs, rows []int) *Member {
	m := rawMember(n, weights)
	var f inference
	for c, scores := range m.scores(&f, g, rows) {
		mean, squares := 0., 0.
		for _, s := range scores {
			mean += s / float64(len(scores))
		}
		for _, s := range scores {
			squares += (s - mean) * (s - mean) / float64(len(scores))
		}
		m.shift[c] = mean
		if squares > 0 {
			m.factor[c] = 1 / math.Sqrt(squares)
		}
	}
	return m
}

// rawMember is a member whose scores are the head's own.
func rawMember(n *network, weights []float32) *Member {
	m := &Member{network: n, weights: weights, table: n.table(nil, weights)}
	m.shift, m.factor = make([]float64, m.columns()), make([]float64, m.columns())
	for c := range m.factor {
		m.factor[c] = 1
	}
	return m
}

// columns returns the number of scores of the head.
func (m *Member) columns() int { return m.network.outputs[0].out }

// dimension returns the length of the member's embedding.
func (m *Member) dimension() int { return m.network.encoder.dimension() }

// Operations returns the operations that the member knows.
func (m *Member) Operations() []string { return m.network.vocabulary.Names() }

// Scores returns the scores of the named graphs, [column][row].
func (m *Member) Scores(g *schemas.Graphs, rows []int) [][]float64 {
	var f inference
	return m.scores(&f, g, rows)
}

func (m *Member) scores(f *inference, g *schemas.Graphs, rows []int) [][]float64 {
	scores := make([][]float64, m.columns())
	for c := range scores {
		scores[c] = make([]float64, len(rows))
	}
	from := 0
	for _, to := range cut(nil, m.network.encoder, g, rows) {
		_, head := f.output(m.network, m.weights, m.table, 0, g, rows[from:to])
		for i, h := range head {
			c := i % m.columns()
			scores[c][from+i/m.columns()] = m.score(h, c)
		}
		from = to
	}
	return scores
}

func (m *Member) score(head float32, column int) float64 {
	return (float64(head) - m.shift[column]) * m.factor[column]
}
