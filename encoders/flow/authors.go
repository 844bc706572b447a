package flow

import "archflow/internal/numpy"

// AuthorsDraw returns the random numbers that the paper's code uses in every run:
// numpy's legacy generator with seed 0 draws r, a vector that nothing uses, P with a
// row for each operation in the order given, and W. That code does not say the order
// of the operations of NAS-Bench-101.
//
// Source: Kim, Hwang, Shin 2025, kswoo97/LightWeightNAS.
func AuthorsDraw(k int, std float64, operations []string) Parameters {
	random := numpy.Seed(0)
	p := Parameters{Alpha: 0.5, R: random.Uniform(k), P: map[string][]float64{}}
	random.Uniform(k)
	rows := random.Normal(len(operations)*k, std)
	for i, op := range operations {
		p.P[op] = rows[i*k : (i+1)*k]
	}
	p.W = random.Normal(2*k*k, std)
	return p
}
