package micro

import "math"

// The float64() around products, here and elsewhere, keeps compilers from fusing
// them with the addition that follows: all processors give the same bits.

// exp returns e^x. It is our own because the standard library's differs in the
// last bit between processors.
func exp(x float64) float64 {
	if x < -700 {
		return 0
	}
	if x > 700 {
		return math.Inf(1)
	}
	// e^x = 2^k e^r with |r| <= ln(2)/2; ln(2) in two parts keeps r exact.
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := (x - float64(k*6.93147180369123816490e-01)) - float64(k*1.90821492927058770002e-10)
	// Taylor to the ninth power: a relative error of 1e-11.
	p := 1 + float64(r*(1./9))
	p = 1 + float64(float64(r*(1./8))*p)
	p = 1 + float64(float64(r*(1./7))*p)
	p = 1 + float64(float64(r*(1./6))*p)
	p = 1 + float64(float64(r*(1./5))*p)
	p = 1 + float64(float64(r*(1./4))*p)
	p = 1 + float64(float64(r*(1./3))*p)
	p = 1 + float64(float64(r*(1./2))*p)
	p = 1 + float64(r*p)
	return float64(p * math.Float64frombits(uint64(1023+int64(k))<<52))
}

// tanh returns the hyperbolic tangent.
func tanh(x float64) float64 {
	if x < 0 {
		return -tanh(-x)
	}
	return 1 - 2/(exp(2*x)+1)
}

// add adds x to dst.
func add(dst, x []float64) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// addScaled adds scale times x to dst.
func addScaled(dst []float64, scale float64, x []float64) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += float64(scale * x[i])
	}
}

// addScaled4 adds four scaled rows to dst at once.
func addScaled4(dst []float64, a, b, c, d float64, xa, xb, xc, xd []float64) {
	n := len(dst)
	xa, xb, xc, xd = xa[:n], xb[:n], xc[:n], xd[:n]
	for i := range dst {
		dst[i] = ((dst[i] + float64(a*xa[i])) + float64(b*xb[i])) + (float64(c*xc[i]) + float64(d*xd[i]))
	}
}

// dot returns the inner product of x and y.
func dot(x, y []float64) float64 {
	y = y[:len(x)]
	sum := 0.0
	for i, v := range x {
		sum += float64(v * y[i])
	}
	return sum
}

// dot4 returns the inner products of x with four rows.
func dot4(x, ya, yb, yc, yd []float64) (a, b, c, d float64) {
	n := len(x)
	ya, yb, yc, yd = ya[:n], yb[:n], yc[:n], yd[:n]
	for i, v := range x {
		a += float64(v * ya[i])
		b += float64(v * yb[i])
		c += float64(v * yc[i])
		d += float64(v * yd[i])
	}
	return a, b, c, d
}

// sum returns the sum of x.
func sum(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

// finite says whether x is a number.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
