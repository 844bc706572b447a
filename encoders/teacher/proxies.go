package teacher

import (
	"math"
	"slices"
)

// absurd is a size that no proxy has; such values count as missing.
const absurd = 1e100

// present reports whether a proxy has a value that counts.
func present(v float64) bool { return math.Abs(v) < absurd }

// usable returns the values with NaN where one is missing or absurd, and how many are
// left.
func usable(values []float64) (out []float64, known int) {
	out = slices.Clone(values)
	for i, v := range out {
		if present(v) {
			known++
		} else {
			out[i] = math.NaN()
		}
	}
	return out, known
}

// ranks returns for every known value the normal quantile of its rank, ties at
// their mean rank, and NaN for NaN.
func ranks(values []float64) []float64 {
	var known []int
	for i, v := range values {
		if v == v {
			known = append(known, i)
		}
	}
	slices.SortStableFunc(known, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(values))
	for i := range out {
		out[i] = math.NaN()
	}
	for i := 0; i < len(known); {
		j := i
		for j < len(known) && values[known[j]] == values[known[i]] {
			j++
		}
		q := normalQuantile((float64(i+j) / 2) / float64(len(known)))
		for ; i < j; i++ {
			out[known[i]] = q
		}
	}
	return out
}

// normalQuantile returns the value that a standard normal is below with
// probability p.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// tamed returns the values on their scale, robustly: the logarithm of a positive and
// skewed column, cut at the first and the last percentile.
func tamed(values []float64) []float64 {
	var known []float64
	for _, v := range values {
		if v == v {
			known = append(known, v)
		}
	}
	out := slices.Clone(values)
	if len(known) == 0 {
		return out
	}
	slices.Sort(known)
	at := func(q float64) float64 { return known[int(q*float64(len(known)-1)+0.5)] }
	squash := func(v float64) float64 { return v }
	if median := at(0.5); known[0] > 0 && at(1) > 5*median {
		squash = func(v float64) float64 { return math.Log(v + 1e-6*median) }
	}
	low, high := squash(at(0.01)), squash(at(0.99))
	for i, v := range out {
		if v == v {
			out[i] = min(max(squash(v), low), high)
		}
	}
	return out
}

// shared returns the proxies with those of one network for all of its class: the first
// with the most values, completed from the next.
func shared(given []Proxy, of equals) []Proxy {
	if of.class == nil {
		return given
	}
	known, order := make([]int, len(of.class)), all(len(of.class))
	for _, p := range given {
		for i, v := range p.Values {
			if present(v) {
				known[i]++
			}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return known[b] - known[a] })
	out := make([]Proxy, len(given))
	for k, p := range given {
		one := make([]float64, of.count)
		for c := range one {
			one[c] = math.NaN()
		}
		for _, i := range order {
			if c := of.class[i]; one[c] != one[c] && present(p.Values[i]) {
				one[c] = p.Values[i]
			}
		}
		out[k] = Proxy{p.Name, pick(one, of.class)}
	}
	return out
}
