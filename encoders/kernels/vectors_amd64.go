package kernels

// The functions of this file process whole vectors and return the count of numbers (or
// columns) done; the callers do the rest in Go.

// vectorPart returns the part of n that fills vectors, 0 for plain Go.
func vectorPart(n int) int {
	switch active {
	case avx512:
		return n &^ 15
	case avx2:
		return n &^ 7
	}
	return 0
}

func addVectors(y, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		add512(n, &y[0], &x[0])
	default:
		add256(n, &y[0], &x[0])
	}
	return n
}

func addScaledVectors(y []float32, a float32, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		addScaled512(n, &y[0], a, &x[0])
	default:
		addScaled256(n, &y[0], a, &x[0])
	}
	return n
}

func squaresVectors(y, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		squares512(n, &y[0], &x[0])
	default:
		squares256(n, &y[0], &x[0])
	}
	return n
}

func distancesVectors(y, x []float32, a float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		distances512(n, &y[0], &x[0], a)
	default:
		distances256(n, &y[0], &x[0], a)
	}
	return n
}

func maternVectors(y, x []float32, factor, a float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		matern512(n, &y[0], &x[0], factor, a)
	default:
		matern256(n, &y[0], &x[0], factor, a)
	}
	return n
}

func scaleVectors(y []float32, a float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		scale512(n, &y[0], a)
	default:
		scale256(n, &y[0], a)
	}
	return n
}

func reLUVectors(y, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		reLU512(n, &y[0], &x[0])
	default:
		reLU256(n, &y[0], &x[0])
	}
	return n
}

func reLUBackVectors(dy, y []float32) int {
	n := vectorPart(len(dy))
	switch {
	case n == 0:
	case active == avx512:
		reLUBack512(n, &dy[0], &y[0])
	default:
		reLUBack256(n, &dy[0], &y[0])
	}
	return n
}

func sigmoidVectors(y, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		sigmoid512(n, &y[0], &x[0])
	default:
		sigmoid256(n, &y[0], &x[0])
	}
	return n
}

func expVectors(y, x []float32) int {
	n := vectorPart(len(y))
	switch {
	case n == 0:
	case active == avx512:
		exp512(n, &y[0], &x[0])
	default:
		exp256(n, &y[0], &x[0])
	}
	return n
}

func dotVectors(x, y []float32) (sum float32, n int) {
	n = len(x) &^ 63
	switch {
	case n == 0 || active == plain:
		return 0, 0
	case active == avx512:
		return dot512(n, &x[0], &y[0]), n
	}
	return dot256(n, &x[0], &y[0]), n
}

func adamWVectors(w, g, m, v []float32, rate, decay, correction float32) int {
	n := vectorPart(len(w))
	switch {
	case n == 0:
	case active == avx512:
		adamW512(n, &w[0], &g[0], &m[0], &v[0], rate, decay, correction)
	default:
		adamW256(n, &w[0], &g[0], &m[0], &v[0], rate, decay, correction)
	}
	return n
}

func dropoutVectors(x []float32, threshold uint32, scale float32, low, high uint32) int {
	n := len(x) &^ 31
	switch {
	case n == 0 || active == plain:
		return 0
	case active == avx512:
		dropout512(n, &x[0], threshold, scale, low, high)
	default:
		dropout256(n, &x[0], threshold, scale, low, high)
	}
	return n
}

func gatedVectors(x, gates, x0, y []float32, self int32, near []int32, width int) int {
	n := vectorPart(width)
	if n == 0 {
		return 0
	}
	var gate *float32
	if len(gates) > 0 {
		gate = &gates[0]
	}
	var first *int32
	if len(near) > 0 {
		first = &near[0]
	}
	if active == avx512 {
		gated512(n, &x[0], gate, &x0[0], &y[0], int(self), first, len(near), width, keepShare, takeShare)
	} else {
		gated256(n, &x[0], gate, &x0[0], &y[0], int(self), first, len(near), width, keepShare, takeShare)
	}
	return n
}

func gatedBackVectors(dy, dx0, dx, x, gates, y []float32, self int32, near []int32, width int, scale float32) int {
	n := vectorPart(width)
	if n == 0 {
		return 0
	}
	var gate *float32
	var first *int32
	if len(near) > 0 {
		gate, first = &gates[0], &near[0]
	}
	if active == avx512 {
		gatedBack512(n, &dy[0], &dx0[0], &dx[0], &x[0], gate, &y[0], int(self), first, len(near), width, scale, keepShare, takeShare)
	} else {
		gatedBack256(n, &dy[0], &dx0[0], &dx[0], &x[0], gate, &y[0], int(self), first, len(near), width, scale, keepShare, takeShare)
	}
	return n
}

func flowStateVectors(state, row, weights, scratch []float32, alpha, bound float32) bool {
	width := len(state)
	if active == plain || width%8 != 0 || width > len(weights) {
		return false
	}
	flowState256(width, len(weights)/width, &state[0], &row[0], &weights[0], &scratch[0], alpha, bound)
	return true
}

// transposeVectors returns how many rows and columns it wrote.
func transposeVectors(dst, src []float32, stride, rows, columns, width int) (int, int) {
	rows, columns = rows&^7, columns&^7
	if active == plain || rows == 0 || columns == 0 {
		return 0, 0
	}
	transpose256(rows, columns, &dst[0], width, &src[0], stride)
	return rows, columns
}
