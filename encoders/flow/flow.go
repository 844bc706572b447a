package flow

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"archflow/schemas"
)

// Config chooses a surrogate. Its zero value is the published setting for
// NAS-Bench-201.
type Config struct {
	K     int     // length; 0 means 7
	Std   float64 // standard deviation of the random weights; 0 means 0.1
	Alpha float64 // share of the message that passes unchanged; 0 means 0.5
	Seed  uint64  // of all random parameters
}

// Parameters are the random and fixed numbers of a surrogate.
type Parameters struct {
	Alpha float64
	R     []float64            // [k], state of a node without predecessors
	W     []float64            // [2k, k], rows first for the operation, then for the message
	P     map[string][]float64 // [k] for each operation
}

// Flow computes surrogates. It is safe for concurrent use.
type Flow struct {
	k, width int // width is k rounded up to whole vectors of lane numbers
	alpha    float64
	r, w     []float64
	row      func(operation string) []float64
	std      float64 // of the rows of attributes; 0 for given parameters, which have none
	seed     uint64

	start   []float32 // [width], r
	message []float32 // [k, width], the lower half of w times 1-alpha

	known atomic.Pointer[vocabulary]
	words sync.Map // word -> []float32 [width], of attributes

	mu   sync.Mutex                   // held while known and the fields below change
	idle []*workspace                 // of no call at present
	adds map[schemas.Symbol][]float64 // of variants: P[op]·(upper half of W)
}

// lane is the number of float32 in the vector that every loop is made of.
const lane = 8

// New returns the surrogate of c. W and r are drawn from a generator of the
// seed, the row P[op] from one of the seed and the hash of the operation's
// name, so that a surrogate depends neither on which operations were met before
// nor on their symbols. Operations of a second cell ("reduce:...") have rows of
// their own.
func New(c Config) *Flow {
	if c.K <= 0 {
		c.K = 7
	}
	if c.Std == 0 {
		c.Std = 0.1
	}
	if c.Alpha == 0 {
		c.Alpha = 0.5
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x666c6f77)) // "flow"
	p := Parameters{Alpha: c.Alpha, R: make([]float64, c.K)}
	for i := range p.R {
		p.R[i] = random.Float64()
	}
	p.W = normal(random, 2*c.K*c.K, c.Std)
	f := build(p, func(operation string) []float64 {
		h := fnv.New64a()
		h.Write([]byte(operation))
		return normal(rand.New(rand.NewPCG(c.Seed, h.Sum64())), c.K, c.Std)
	})
	f.std, f.seed = c.Std, c.Seed
	return f
}

// FromParameters returns the surrogate of given numbers, such as those of
// another implementation. It fails when their lengths disagree. Computing a
// surrogate panics on an operation that p.P lacks.
func FromParameters(p Parameters) (*Flow, error) {
	k := len(p.R)
	if k == 0 || len(p.W) != 2*k*k {
		return nil, fmt.Errorf("flow parameters: r has %d numbers and W %d, want k and 2k·k", k, len(p.W))
	}
	for operation, row := range p.P {
		if len(row) != k {
			return nil, fmt.Errorf("flow parameters: P[%q] has %d numbers, want %d as r has", operation, len(row), k)
		}
	}
	return build(p, func(operation string) []float64 {
		row, ok := p.P[operation]
		if !ok {
			panic(fmt.Sprintf("flow parameters: no row of P for operation %q", operation))
		}
		return row
	}), nil
}

func normal(random *rand.Rand, n int, std float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = std * random.NormFloat64()
	}
	return out
}

func build(p Parameters, row func(string) []float64) *Flow {
	k := len(p.R)
	f := &Flow{k: k, width: (k + lane - 1) / lane * lane, alpha: p.Alpha, r: p.R, w: p.W, row: row}
	f.start = make([]float32, f.width)
	for c, v := range p.R {
		f.start[c] = float32(v)
	}
	f.message = make([]float32, k*f.width)
	for j := range k {
		for c := range k {
			f.message[j*f.width+c] = float32((1 - p.Alpha) * p.W[(k+j)*k+c])
		}
	}
	f.known.Store(new(vocabulary))
	return f
}

// K returns the length of the surrogates.
func (f *Flow) K() int { return f.k }

// vocabulary holds the vectors that every operation met so far adds inside the ReLU. It
// is never changed, only replaced.
type vocabulary struct {
	at   []int32   // by symbol: start of its row, -1 without
	rows []float32 // [n, width], (1-alpha)·P[op]·(upper half of W)
}

// learn returns a vocabulary that holds all operations of ops.
func (f *Flow) learn(ops []schemas.Symbol) *vocabulary {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.known.Load()
	v := &vocabulary{append([]int32(nil), old.at...), append([]float32(nil), old.rows...)}
	for _, op := range ops {
		if op < 0 { // a name of the graph's own
			continue
		}
		for int(op) >= len(v.at) {
			v.at = append(v.at, -1)
		}
		if v.at[op] >= 0 {
			continue
		}
		v.at[op] = int32(len(v.rows))
		v.rows = append(v.rows, f.inside(f.row(schemas.Name(op)))...)
	}
	f.known.Store(v)
	return v
}

// has reports whether v holds all operations of ops.
func (v *vocabulary) has(ops []schemas.Symbol) bool {
	for _, op := range ops {
		if op >= 0 && (int(op) >= len(v.at) || v.at[op] < 0) {
			return false
		}
	}
	return true
}
