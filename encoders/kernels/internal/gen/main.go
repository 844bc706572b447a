// Command gen writes the assembly of package kernels and its Go declarations.
// Run it with `go generate ./encoders/kernels`.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("amd64")
	gemm512()
	gemm256()
	compress()
	sparse()
	copyPanel()
	for _, s := range isas {
		passes(s)
		gated(s)
		gatedBack(s)
	}
	flowState()
	transpose()
	peak512()
	peak256()
	Generate()
}
