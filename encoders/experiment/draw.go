package experiment

import (
	"fmt"
	"math/bits"

	"archflow/internal/finite"
)

// Split says which rows train, which validate and which are tested.
type Split struct {
	Seed        uint64 `json:"seed"` // of the networks too
	Permutation int    `json:"permutation,omitempty"`
	Train       []int  `json:"train"`
	Validate    []int  `json:"validate"`
	Test        []int  `json:"test"`
}

// Sizes says how many rows a split takes. Train rows are the first of a pool,
// validation rows follow the pool, and everything behind them is tested.
type Sizes struct {
	Pool, Train, Validate int
}

// DefaultSizes returns the paper's sizes for a benchmark of so many labelled
// rows; for a space that it does not have, 1 % of the rows and 40.
func DefaultSizes(t *Table) Sizes {
	rows := len(t.labelled())
	s := map[string]Sizes{
		"nb101": {7290, 72, 40},
		"nb201": {7813, 78, 40},
		"nb301": {5611, 56, 40},
	}[t.Space]
	if s.Pool == 0 || s.Pool+s.Validate >= rows {
		train := max(rows/100, 2)
		s = Sizes{train, train, 40}
	}
	return s
}

// Draw splits the labelled rows at random, as often as permutations says for
// every seed. They are numpy's permutations of the legacy generator, so that
// code in Python draws the same: numpy.random.seed(seed), then
// numpy.random.permutation(number of labelled rows) once for each.
func Draw(t *Table, seeds []uint32, permutations int, s Sizes) ([]Split, error) {
	labelled := t.labelled()
	s.Pool = max(s.Pool, s.Train)
	if s.Train < 1 || s.Validate < 0 || s.Pool+s.Validate >= len(labelled) {
		return nil, fmt.Errorf("%d rows of a pool of %d to train and %d to validate leave nothing to test of %d rows with a label: take fewer", s.Train, s.Pool, s.Validate, len(labelled))
	}
	var splits []Split
	for _, seed := range seeds {
		random := newTwister(seed)
		for p := range permutations {
			rows := random.permutation(len(labelled))
			for i, r := range rows {
				rows[i] = labelled[r]
			}
			behind := s.Pool + s.Validate
			splits = append(splits, Split{uint64(seed), p, rows[:s.Train], rows[s.Pool:behind], rows[behind:]})
		}
	}
	return splits, nil
}

// noise returns the seed of what a run draws beside its split; runs of one seed
// differ by their permutation.
func (s *Split) noise() uint64 { return s.Seed + uint64(s.Permutation)<<32 }

// Check says what is wrong with a split of t.
func (s *Split) Check(t *Table) error {
	label := t.Label
	part := make([]byte, len(label))
	names := [...]string{"", "train", "validate", "test"}
	for i, rows := range [][]int{s.Train, s.Validate, s.Test} {
		for _, r := range rows {
			switch {
			case r < 0 || r >= len(label):
				return fmt.Errorf("split of seed %d: %s names row %d, the table has rows 0 to %d", s.Seed, names[i+1], r, len(label)-1)
			case !finite.Is(label[r]):
				return fmt.Errorf("split of seed %d: %s names row %d, which has no label", s.Seed, names[i+1], r)
			case part[r] != 0:
				return fmt.Errorf("split of seed %d: row %d is in %s and in %s; a row has one use", s.Seed, r, names[part[r]], names[i+1])
			}
			part[r] = byte(i + 1)
		}
	}
	if len(s.Train) < 2 || len(s.Test) < 2 {
		return fmt.Errorf("split of seed %d: %d rows to train and %d to test; a ranking needs two of each", s.Seed, len(s.Train), len(s.Test))
	}
	return nil
}

// twister is the Mersenne twister MT19937 as numpy's legacy generator seeds and
// uses it. Source: Matsumoto & Nishimura, 1998.
type twister struct {
	state [624]uint32
	at    int
}

func newTwister(seed uint32) *twister {
	t := &twister{at: 624}
	for i := range t.state {
		t.state[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return t
}

func (t *twister) next() uint32 {
	if t.at == len(t.state) {
		t.at = 0
		for i := range t.state {
			y := t.state[i]&0x80000000 | t.state[(i+1)%624]&0x7fffffff
			t.state[i] = t.state[(i+397)%624] ^ y>>1 ^ y&1*0x9908b0df
		}
	}
	y := t.state[t.at]
	t.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// permutation returns 0..n-1 shuffled.
func (t *twister) permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		mask := uint32(1)<<bits.Len32(uint32(i)) - 1
		j := t.next() & mask
		for j > uint32(i) {
			j = t.next() & mask
		}
		p[i], p[j] = p[j], p[i]
	}
	return p
}
