//go:build !amd64

package kernels

// Without vectors nothing is done here and all is left to the callers.

func addVectors(y, x []float32) int                                                     { return 0 }
func addScaledVectors(y []float32, a float32, x []float32) int                          { return 0 }
func squaresVectors(y, x []float32) int                                                 { return 0 }
func distancesVectors(y, x []float32, a float32) int                                    { return 0 }
func maternVectors(y, x []float32, factor, a float32) int                               { return 0 }
func scaleVectors(y []float32, a float32) int                                           { return 0 }
func reLUVectors(y, x []float32) int                                                    { return 0 }
func reLUBackVectors(dy, y []float32) int                                               { return 0 }
func sigmoidVectors(y, x []float32) int                                                 { return 0 }
func expVectors(y, x []float32) int                                                     { return 0 }
func dotVectors(x, y []float32) (sum float32, n int)                                    { return 0, 0 }
func adamWVectors(w, g, m, v []float32, rate, decay, correction float32) int            { return 0 }
func dropoutVectors(x []float32, threshold uint32, scale float32, low, high uint32) int { return 0 }
func gatedVectors(x, gates, x0, y []float32, self int32, near []int32, width int) int   { return 0 }
func gatedBackVectors(dy, dx0, dx, x, gates, y []float32, self int32, near []int32, width int, scale float32) int {
	return 0
}

func flowStateVectors(state, row, weights, scratch []float32, alpha, bound float32) bool {
	return false
}
func transposeVectors(dst, src []float32, stride, rows, columns, width int) (int, int) { return 0, 0 }
