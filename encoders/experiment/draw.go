package experiment

import (
	"fmt"

	"archflow/internal/finite"
	"archflow/internal/numpy"
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

// DefaultSizes returns the paper's sizes for a benchmark of that many labelled rows; for
// a space that it does not have, 1 % of the rows and 40.
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
// numpy.random.Permutation(number of labelled rows) once for each.
func Draw(t *Table, seeds []uint32, permutations int, s Sizes) ([]Split, error) {
	labelled := t.labelled()
	s.Pool = max(s.Pool, s.Train)
	if s.Train < 1 || s.Validate < 0 || s.Pool+s.Validate >= len(labelled) {
		return nil, fmt.Errorf("%d rows of a pool of %d to train and %d to validate leave nothing to test of %d rows with a label: take fewer", s.Train, s.Pool, s.Validate, len(labelled))
	}
	var splits []Split
	for _, seed := range seeds {
		random := numpy.Seed(seed)
		for p := range permutations {
			rows := random.Permutation(len(labelled))
			for i, r := range rows {
				rows[i] = labelled[r]
			}
			splits = append(splits, s.cut(seed, p, rows))
		}
	}
	return splits, nil
}

// AsPublished splits the labelled rows as the paper's code does: the same permutations
// for every seed, of which the first is the order of the table. The others of the paper
// are not public; these are numpy's with the seeds 1, 2, ...
func AsPublished(t *Table, seeds []uint32, permutations int, s Sizes) ([]Split, error) {
	drawn, err := Draw(t, make([]uint32, 1), 1, s) // for its checks
	if err != nil || len(drawn) == 0 {
		return nil, err
	}
	labelled := t.labelled()
	var splits []Split
	for _, seed := range seeds {
		for p := range permutations {
			rows := labelled
			if p > 0 {
				rows = nil
				for _, r := range numpy.Seed(uint32(p)).Permutation(len(labelled)) {
					rows = append(rows, labelled[r])
				}
			}
			splits = append(splits, s.cut(seed, p, rows))
		}
	}
	return splits, nil
}

// cut splits rows in their order.
func (s Sizes) cut(seed uint32, permutation int, rows []int) Split {
	pool := max(s.Pool, s.Train)
	behind := pool + s.Validate
	return Split{uint64(seed), permutation, rows[:s.Train], rows[pool:behind], rows[behind:]}
}

// noise returns the seed of a run's draws other than its split; runs of one seed differ
// by their permutation.
func (s *Split) noise() uint64 { return s.Seed + uint64(s.Permutation)<<32 }

// Check returns the fault of a split of t, nil if there is none.
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
