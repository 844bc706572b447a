// Package numpy reproduces the numbers of numpy's legacy generator, so that Python and
// Go code repeat each other.
//
// Source: Matsumoto & Nishimura, 1998; numpy/random/mtrand, RandomState.
package numpy

import (
	"math"
	"math/bits"
)

// Legacy is numpy.random.RandomState: the Mersenne twister MT19937.
type Legacy struct {
	state [624]uint32
	at    int
	next  float64 // the second normal number of a pair
	has   bool
}

// Seed returns the generator after numpy.random.seed(seed).
func Seed(seed uint32) *Legacy {
	t := &Legacy{at: 624}
	for i := range t.state {
		t.state[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return t
}

func (t *Legacy) uint32() uint32 {
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

// Permutation returns 0..n-1 shuffled, as permutation(n).
func (t *Legacy) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		mask := uint32(1)<<bits.Len32(uint32(i)) - 1
		j := t.uint32() & mask
		for j > uint32(i) {
			j = t.uint32() & mask
		}
		p[i], p[j] = p[j], p[i]
	}
	return p
}

func (t *Legacy) float64() float64 {
	high, low := t.uint32()>>5, t.uint32()>>6
	return (float64(high)*(1<<26) + float64(low)) / (1 << 53)
}

// Uniform returns n numbers from 0 to 1, as uniform(0, 1, n).
func (t *Legacy) Uniform(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = t.float64()
	}
	return out
}

// Normal returns n numbers of mean 0 and a standard deviation, as normal(0, std, n).
// Source: Marsaglia's polar method.
func (t *Legacy) Normal(n int, std float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = std * t.normal()
	}
	return out
}

func (t *Legacy) normal() float64 {
	if t.has {
		t.has = false
		return t.next
	}
	for {
		a, b := 2*t.float64()-1, 2*t.float64()-1
		if r := a*a + b*b; r < 1 && r != 0 {
			f := math.Sqrt(-2 * math.Log(r) / r)
			t.next, t.has = f*a, true
			return f * b
		}
	}
}
