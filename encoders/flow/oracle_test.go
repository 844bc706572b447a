package flow

import "archflow/schemas"

// Surrogate64 returns the surrogate [k] of one graph without attributes in
// double precision. ops and edges are as schemas.Graphs lays them out.
func (f *Flow) Surrogate64(ops []schemas.Symbol, edges []int32) []float64 {
	var g schemas.Graphs
	g.Append(ops, edges)
	return f.SurrogateOf(&g, 0)
}

// SurrogateOf returns the surrogate [k] of graph i in double precision. It follows the
// definition of the method and is the oracle of the fast path.
func (f *Flow) SurrogateOf(g *schemas.Graphs, i int) []float64 {
	ops, edges := g.Graph(i)
	n, operations := len(ops), f.operations64(g, i)
	before, after := make([][]int32, n), make([][]int32, n)
	for e := 0; e < len(edges); e += 2 {
		from, to := edges[e], edges[e+1]
		before[to] = append(before[to], from)
		after[from] = append(after[from], to)
	}
	transform := func(node int, neighbours []int32, state [][]float64) []float64 {
		message := make([]float64, f.k)
		for c := range message {
			for _, j := range neighbours {
				message[c] += state[j][c]
			}
			message[c] = max(-bound, min(bound, message[c]))
		}
		joined := append(append([]float64(nil), operations[node]...), message...)
		out := make([]float64, f.k)
		for c := range out {
			sum := 0.0
			for j, v := range joined {
				sum += v * f.w[j*f.k+c]
			}
			out[c] = f.alpha*message[c] + (1-f.alpha)*max(sum, 0)
		}
		return out
	}
	forward, backward := make([][]float64, n), make([][]float64, n)
	for i := range n {
		forward[i] = f.r
		if len(before[i]) > 0 {
			forward[i] = transform(i, before[i], forward)
		}
	}
	surrogate := make([]float64, f.k)
	for i := n - 1; i >= 0; i-- {
		backward[i] = forward[i]
		if len(after[i]) > 0 {
			backward[i] = transform(i, after[i], backward)
		}
		if len(before[i]) == 0 {
			for c, v := range backward[i] {
				surrogate[c] += v
			}
		}
	}
	return surrogate
}
