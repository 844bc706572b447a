// Package metrics compares rankings: rank correlations and the precision at the top.
package metrics

import (
	"cmp"
	"math"
	"slices"
)

// KendallTau returns the rank correlation tau-b of x and y, NaN when one of
// them is constant or shorter than two. It takes O(n log n). Source: Knight,
// "A computer method for calculating Kendall's tau with ungrouped data", 1966.
func KendallTau(x, y []float64) float64 {
	n := len(x)
	if n != len(y) {
		panic("encoders: KendallTau of slices of different length")
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(x[a], x[b]), cmp.Compare(y[a], y[b]))
	})
	ys := make([]float64, n)
	for i, o := range order {
		ys[i] = y[o]
	}
	pairs := func(run int) int64 { return int64(run) * int64(run-1) / 2 }
	var tiedX, tiedBoth int64
	for i, runX, runBoth := 1, 1, 1; i <= n; i++ {
		sameX := i < n && x[order[i]] == x[order[i-1]]
		if sameX && ys[i] == ys[i-1] {
			runBoth++
		} else {
			tiedBoth += pairs(runBoth)
			runBoth = 1
		}
		if sameX {
			runX++
		} else {
			tiedX += pairs(runX)
			runX = 1
		}
	}
	swaps := mergeSort(ys, make([]float64, n))
	var tiedY int64
	for i, run := 1, 1; i <= n; i++ {
		if i < n && ys[i] == ys[i-1] {
			run++
		} else {
			tiedY += pairs(run)
			run = 1
		}
	}
	all := pairs(n)
	concordantLessDiscordant := all - tiedX - tiedY + tiedBoth - 2*swaps
	return float64(concordantLessDiscordant) / math.Sqrt(float64(all-tiedX)) / math.Sqrt(float64(all-tiedY))
}

// mergeSort sorts v and returns the number of inversions.
func mergeSort(v, scratch []float64) int64 {
	n := len(v)
	if n < 2 {
		return 0
	}
	h := n / 2
	swaps := mergeSort(v[:h], scratch) + mergeSort(v[h:], scratch)
	copy(scratch, v)
	for i, j, k := 0, h, 0; k < n; k++ {
		if j == n || i < h && scratch[i] <= scratch[j] {
			v[k] = scratch[i]
			i++
		} else {
			v[k] = scratch[j]
			j++
			swaps += int64(h - i)
		}
	}
	return swaps
}

// Spearman returns the rank correlation of x and y with average ranks for
// ties, NaN when one of them is constant.
func Spearman(x, y []float64) float64 {
	if len(x) != len(y) {
		panic("encoders: Spearman of slices of different length")
	}
	rx, ry := Ranks(x), Ranks(y)
	mean := float64(len(x)-1) / 2
	var xy, xx, yy float64
	for i := range rx {
		dx, dy := rx[i]-mean, ry[i]-mean
		xy += dx * dy
		xx += dx * dx
		yy += dy * dy
	}
	return xy / math.Sqrt(xx) / math.Sqrt(yy)
}

// Ranks returns the rank of every value, counted from 0, ties averaged.
func Ranks(v []float64) []float64 {
	order := Ascending(v)
	ranks := make([]float64, len(v))
	for i := 0; i < len(v); {
		j := i + 1
		for j < len(v) && v[order[j]] == v[order[i]] {
			j++
		}
		for _, o := range order[i:j] {
			ranks[o] = float64(i+j-1) / 2
		}
		i = j
	}
	return ranks
}

// RankGauss returns the values' ranks as quantiles of the normal distribution;
// NaN stays NaN and takes no rank.
func RankGauss(v []float64) []float64 {
	var known []float64
	for _, x := range v {
		if !math.IsNaN(x) {
			known = append(known, x)
		}
	}
	ranks := Ranks(known)
	out, k := make([]float64, len(v)), 0
	for i, x := range v {
		out[i] = math.NaN()
		if !math.IsNaN(x) {
			out[i] = NormalQuantile((ranks[k] + .5) / float64(len(known)))
			k++
		}
	}
	return out
}

// NormalQuantile returns the value below which a standard normal variable lies with
// probability p.
func NormalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// PrecisionAt returns the share of the predicted top floor(q n) that is in the
// true top floor(q n). Ties go to the lower index. It is NaN when the top is
// empty.
func PrecisionAt(truth, predicted []float64, q float64) float64 {
	if len(truth) != len(predicted) {
		panic("encoders: PrecisionAt of slices of different length")
	}
	// The small addend keeps .01 x 100 from being 0 for want of a last bit.
	k := int(q*float64(len(truth)) + 1e-9)
	top := make(map[int]bool, k)
	for _, i := range Descending(truth)[:k] {
		top[i] = true
	}
	hits := 0
	for _, i := range Descending(predicted)[:k] {
		if top[i] {
			hits++
		}
	}
	return float64(hits) / float64(k)
}

// Ascending returns the indices of v in the order of its values, stable.
func Ascending(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	return order
}

// Descending returns the indices of v from the greatest value down, stable.
func Descending(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[b], v[a]) })
	return order
}
