package flow

import (
	"fmt"
	"math"
	"slices"

	"archflow/schemas"
)

// Variant says how a surrogate departs from the published one. Empty fields take
// the published choice, which is named first.
type Variant struct {
	Rounds    int    `json:"rounds,omitempty"`    // of passing: 1 to 5
	Direction string `json:"direction,omitempty"` // one of Directions
	Gather    string `json:"gather,omitempty"`    // one of Gathers
	Pool      string `json:"pool,omitempty"`      // one of Pools
	Scale     string `json:"scale,omitempty"`     // one of Scales
}

// The choices of a Variant.
var (
	// Directions of a round: forward and then backward, or one of them. A pass starts
	// from the states at the end of the one before.
	Directions = []string{"both", "forward", "backward"}
	// Gathers say how a node puts its neighbours' states together. degree is the
	// sum in which the state of u counts 1/sqrt(neighbours of u, in the direction
	// of the pass, times those of the node that gathers).
	Gathers = []string{"sum", "mean", "max", "degree"}
	// Pools say which states the surrogate is made of: the sum over the nodes
	// where the last pass ends (ends) or where the graph does (last); the sum,
	// mean or maximum over all nodes, or their mean weighted by a softmax of
	// their likeness to a random vector (attention).
	Pools = []string{"ends", "sum", "mean", "max", "last", "attention"}
	// Scales keep numbers in range: none; every state is divided by its root mean square
	// (state), or by that of all states of its topological generation (generation); or
	// the surrogate's asinh is taken (log).
	Scales = []string{"none", "state", "generation", "log"}
)

// MaxRounds bounds Variant.Rounds.
const MaxRounds = 5

// withDefaults fills in empty fields.
func (v Variant) withDefaults() Variant {
	if v.Rounds == 0 {
		v.Rounds = 1
	}
	for _, c := range v.choices() {
		if *c.value == "" {
			*c.value = c.known[0]
		}
	}
	return v
}

type choice struct {
	name  string
	value *string
	known []string
}

func (v *Variant) choices() []choice {
	return []choice{
		{"direction", &v.Direction, Directions}, {"gather", &v.Gather, Gathers},
		{"pool", &v.Pool, Pools}, {"scale", &v.Scale, Scales},
	}
}

// Validate names the first choice that there is not.
func (v Variant) Validate() error {
	v = v.withDefaults()
	if v.Rounds < 1 || v.Rounds > MaxRounds {
		return fmt.Errorf("%d rounds of the surrogate: want 1 to %d", v.Rounds, MaxRounds)
	}
	for _, c := range v.choices() {
		if !slices.Contains(c.known, *c.value) {
			return fmt.Errorf("%s %.40q of the surrogate is unknown: choose one of %v", c.name, *c.value, c.known)
		}
	}
	return nil
}

// Published says that the variant is no departure.
func (v Variant) Published() bool { return v.withDefaults() == Variant{}.withDefaults() }

// surrogate64 writes the variant's surrogate of one graph to dst [k], given its
// operations times the upper half of W. It is
// written for reading; the published variant has a fast path of its own, which
// gives the same.
func (f *Flow) surrogate64(dst []float64, v Variant, query []float64, ops [][]float64, edges []int32) {
	clear(dst)
	if len(ops) == 0 {
		return
	}
	forward, backward := sides(len(ops), edges)
	state := make([][]float64, len(ops))
	first := &forward
	if v.Direction == "backward" {
		first = &backward
	}
	for _, i := range first.starts {
		state[i] = f.r
	}
	last := first
	for round := range v.Rounds {
		if v.Direction == "both" {
			f.pass(state, v, ops, &forward)
			f.pass(state, v, ops, &backward)
			last = &backward
			continue
		}
		if round > 0 { // a pass in the same direction goes on from where the last one ended
			mean := make([]float64, f.k)
			for _, i := range last.ends {
				accumulate(mean, 1/float64(len(last.ends)), state[i])
			}
			for _, i := range last.starts {
				state[i] = mean
			}
		}
		f.pass(state, v, ops, last)
	}
	nodes := state
	switch v.Pool {
	case "ends":
		nodes = chosen(state, last.ends)
	case "last":
		nodes = chosen(state, forward.ends)
	}
	pool(dst, nodes, v.Pool, query)
	if v.Scale == "log" {
		for c, s := range dst {
			dst[c] = math.Asinh(s)
		}
	}
}

// pass replaces the state of every node that has neighbours on its near side,
// a generation after the other.
func (f *Flow) pass(state [][]float64, v Variant, ops [][]float64, s *side) {
	for _, generation := range s.generations {
		total, count := 0., 0
		for _, i := range generation {
			state[i] = f.transformed(ops[i], s.gather(make([]float64, f.k), i, state, v.Gather))
			own := squaresOf(state[i])
			if v.Scale == "state" {
				rescale(state[i], own, f.k)
			}
			total, count = total+own, count+f.k
		}
		if v.Scale == "generation" {
			for _, i := range generation {
				rescale(state[i], total, count)
			}
		}
	}
}

// transformed returns a·m + (1-a)·ReLU([h ‖ m] W), given h times the upper half
// of W.
func (f *Flow) transformed(operation, message []float64) []float64 {
	out := slices.Clone(operation)
	for j, m := range message {
		accumulate(out, m, f.w[(f.k+j)*f.k:][:f.k])
	}
	for c, m := range message {
		out[c] = f.alpha*m + (1-f.alpha)*max(out[c], 0)
	}
	return out
}

// operations returns the row of P of each node of graph i times the upper half
// of W, [nodes][k].
func (f *Flow) operations(g *schemas.Graphs, i int) [][]float64 {
	ops, _ := g.Graph(i)
	out := make([][]float64, len(ops))
	if plain(g, i) {
		for t, op := range ops {
			out[t] = f.operation(op)
		}
		return out
	}
	for t, row := range f.operations64(g, i) {
		out[t] = f.times(row)
	}
	return out
}

// operation returns the product for an operation without attributes.
func (f *Flow) operation(op schemas.Symbol) []float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.adds == nil {
		f.adds = map[schemas.Symbol][]float64{}
	}
	row, ok := f.adds[op]
	if !ok {
		row = f.times(f.row(schemas.Name(op)))
		f.adds[op] = row
	}
	return row
}

func (f *Flow) times(h []float64) []float64 {
	row := make([]float64, f.k)
	for j, v := range h {
		accumulate(row, v, f.w[j*f.k:][:f.k])
	}
	return row
}

// side is a graph as a pass in one direction sees it.
type side struct {
	near        [][]int32 // neighbours from which the pass comes
	far         []int     // number of neighbours to which it goes
	generations [][]int   // of the nodes with near neighbours, in the order of the pass
	starts      []int     // nodes without near neighbours
	ends        []int     // nodes without far ones
}

// sides returns a graph of n nodes as its forward and its backward pass see it.
func sides(n int, edges []int32) (forward, backward side) {
	before, after := make([][]int32, n), make([][]int32, n)
	for e := 0; e < len(edges); e += 2 {
		from, to := edges[e], edges[e+1]
		before[to] = append(before[to], from)
		after[from] = append(after[from], to)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	forward = sideOf(before, after, order)
	slices.Reverse(order)
	return forward, sideOf(after, before, order)
}

func sideOf(near, far [][]int32, order []int) side {
	s := side{near: near, far: make([]int, len(near))}
	at := make([]int, len(near)) // the generation of a node, 0 for starts
	for _, i := range order {
		for _, j := range near[i] {
			at[i] = max(at[i], at[j]+1)
		}
		if at[i] == 0 {
			s.starts = append(s.starts, i)
		} else {
			for len(s.generations) < at[i] {
				s.generations = append(s.generations, nil)
			}
			s.generations[at[i]-1] = append(s.generations[at[i]-1], i)
		}
		if s.far[i] = len(far[i]); s.far[i] == 0 {
			s.ends = append(s.ends, i)
		}
	}
	return s
}

// gather puts the states of the near neighbours of node i together in message
// [k], which holds zeros, and returns it.
func (s *side) gather(message []float64, i int, state [][]float64, how string) []float64 {
	for n, j := range s.near[i] {
		switch how {
		case "sum":
			accumulate(message, 1, state[j])
		case "mean":
			accumulate(message, 1/float64(len(s.near[i])), state[j])
		case "degree":
			accumulate(message, 1/math.Sqrt(float64(len(s.near[i])*s.far[j])), state[j])
		case "max":
			for c, v := range state[j] {
				if n == 0 || v > message[c] {
					message[c] = v
				}
			}
		}
	}
	for c, m := range message {
		message[c] = max(-bound, min(bound, m))
	}
	return message
}

// pool makes a surrogate of states.
func pool(dst []float64, states [][]float64, how string, query []float64) {
	clear(dst)
	switch how {
	case "max":
		copy(dst, states[0])
		for _, s := range states[1:] {
			for c, v := range s {
				dst[c] = max(dst[c], v)
			}
		}
		return
	case "attention":
		weights := likeness(states, query)
		for i, s := range states {
			accumulate(dst, weights[i], s)
		}
		return
	}
	share := 1.
	if how == "mean" {
		share = 1 / float64(len(states))
	}
	for _, s := range states {
		accumulate(dst, share, s)
	}
}

// likeness returns the softmax over the states of their scalar products with
// query, the states being taken in units of their root mean square.
func likeness(states [][]float64, query []float64) []float64 {
	unit := 0.
	for _, s := range states {
		unit += squaresOf(s)
	}
	unit = math.Sqrt(unit / float64(len(states)*len(query)))
	weights, top := make([]float64, len(states)), math.Inf(-1)
	for i, s := range states {
		for c, q := range query {
			weights[i] += q * s[c] / max(unit, 1e-300)
		}
		top = max(top, weights[i])
	}
	sum := 0.
	for i, w := range weights {
		weights[i] = math.Exp(w - top)
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}

func chosen(state [][]float64, nodes []int) [][]float64 {
	out := make([][]float64, len(nodes))
	for i, n := range nodes {
		out[i] = state[n]
	}
	return out
}

// accumulate computes dst += share src.
func accumulate(dst []float64, share float64, src []float64) {
	for c, v := range src {
		dst[c] += share * v
	}
}

func squaresOf(s []float64) float64 {
	sum := 0.
	for _, v := range s {
		sum += v * v
	}
	return sum
}

// rescale divides s by the root mean square of values whose squares have that
// sum, and leaves zeros.
func rescale(s []float64, squares float64, values int) {
	if squares == 0 {
		return
	}
	factor := 1 / math.Sqrt(squares/float64(values))
	for c := range s {
		s[c] *= factor
	}
}
