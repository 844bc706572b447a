package kernels

// level says which instructions are used.
type level int

const (
	plain  level = iota // Go
	avx2                // AVX2 and FMA
	avx512              // AVX-512 F, BW, DQ, VL
	neon                // of arm64, for products alone
)

var names = map[level]string{plain: "Go", avx2: "AVX2", avx512: "AVX-512", neon: "NEON"}

// active is the best level of this machine. Only tests change it.
var active = detect()

// Instructions names the instructions in use: "AVX-512", "AVX2", "NEON" or "Go".
func Instructions() string { return names[active] }

// columns is the width of a tile, and so of a panel of packed columns.
func (l level) columns() int {
	if l == avx512 {
		return 32
	}
	return 16
}
