package teacher

// hypotheses returns the guesses of what the operations of a family do that
// features are computed for: all normalise or none does, one alone or all but
// one; the others keep the variance of what they pass on, or double it.
func hypotheses(f family) []hypothesis {
	whole := uint32(1)<<f.classes - 1
	out := []hypothesis{{0, 1}, {whole, 1}}
	seen := map[uint32]bool{0: true, whole: true}
	for a := range f.classes {
		for _, m := range []uint32{1 << a, whole &^ (1 << a)} {
			if !seen[m] {
				seen[m] = true
				out = append(out, hypothesis{m, 1})
			}
		}
	}
	for _, h := range out {
		if h.weighted != whole {
			out = append(out, hypothesis{h.weighted, 2})
		}
	}
	return out
}
