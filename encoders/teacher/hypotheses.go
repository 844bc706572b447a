package teacher

// fewClasses is the number of classes up to which every guess is made with both
// gains; beyond, their number costs more than it brings.
const fewClasses = 6

// hypotheses returns the assumptions about the operations of a family that features are
// computed for: all normalise or none does, one alone or all but one; the others keep the
// variance of their input, or double it.
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
		if h.weighted != whole && (h.weighted == 0 || f.classes <= fewClasses) {
			out = append(out, hypothesis{h.weighted, 2})
		}
	}
	return out
}
