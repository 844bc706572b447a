package teacher

import "math/bits"

// maxBits bounds the attributes and hyperparameters that have a bit.
const maxBits = 256

// bitset is a set of attributes and hyperparameters by number.
type bitset [maxBits / 64]uint64

func bitOf(k int) (s bitset) {
	s[k/64] = 1 << (k % 64)
	return s
}

func (s bitset) or(t bitset) bitset {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

func (s bitset) less(t bitset) bitset {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}

func (s bitset) meets(t bitset) bool {
	for i := range s {
		if s[i]&t[i] != 0 {
			return true
		}
	}
	return false
}

// members returns the numbers in ascending order.
func (s bitset) members() []int {
	var out []int
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			out = append(out, 64*i+bits.TrailingZeros64(word))
		}
	}
	return out
}
