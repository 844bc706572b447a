package teacher

import (
	"context"
	"slices"
	"testing"
)

// Failures that follow from the networks rank others like them low; failures that
// do not change the ranking of no other. Networks that failed are below all.
func TestFailures(t *testing.T) {
	d, y := space(500, []string{"a", "b", "c"}, 31)
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	proxy := d.Proxies[0].Values // operations "a"
	fit := func(fails func(i int) bool) (*Result, *Result, []int, []int) {
		var rows, failed []int
		for i := range 80 {
			if fails(i) {
				failed = append(failed, i)
			} else {
				rows = append(rows, i)
			}
		}
		plain, err := f.Fit(context.Background(), rows, pick(y, rows), Options{Subspaces: 4})
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Fit(context.Background(), rows, pick(y, rows), Options{Subspaces: 4, Failed: failed})
		if err != nil {
			t.Fatal(err)
		}
		lowest := slices.Min(pick(r.Score, complement(f.n, failed)))
		if len(failed) == 0 || slices.Max(pick(r.Score, failed)) >= lowest || len(r.Failed) != len(failed) || len(r.OutOfFold) != len(rows) {
			t.Fatalf("failed networks score %v, the others from %v", pick(r.Score, failed), lowest)
		}
		return plain, r, rows, failed
	}
	plain, r, rows, failed := fit(func(i int) bool { return i%9 == 4 })
	left := complement(f.n, failed)
	if got := tau(pick(plain.Score, left), pick(r.Score, left)); got < 1 || !slices.Equal(plain.OutOfFold, r.OutOfFold) {
		t.Errorf("failures by chance change the ranking: tau %.4f, of %d labels", got, len(rows))
	}
	plain, r, _, _ = fit(func(i int) bool { return proxy[i] >= 3 })
	place := func(score []float64) float64 {
		rank, count := 0.0, 0.0
		for i := 80; i < f.n; i++ {
			if proxy[i] < 3 {
				continue
			}
			count++
			for j := 80; j < f.n; j++ {
				if score[j] < score[i] {
					rank++
				}
			}
		}
		return rank / count / float64(f.n-80)
	}
	if before, after := place(plain.Score), place(r.Score); after > 0.6*before {
		t.Errorf("networks that would fail are on average at %.2f, before %.2f", after, before)
	}
	if _, err := f.Fit(context.Background(), []int{1, 2, 3, 4, 5}, y[:5], Options{Failed: []int{5}}); err == nil {
		t.Error("a network is both trained and failed")
	}
}
