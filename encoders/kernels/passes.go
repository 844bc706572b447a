package kernels

import "math"

// All slices of a call have the length of the first. Where a function is said
// to be exact, every machine gives the same bits (as long as its compiler does
// not contract products and sums, which it may on arm64, ppc64 and s390x).

// Add computes y += x. Exact.
func Add(y, x []float32) {
	x = x[:len(y)]
	n := addVectors(y, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] += x[i]
	}
}

// AddScaled computes y += a·x. Exact.
func AddScaled(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	n := addScaledVectors(y, a, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] += a * x[i]
	}
}

// Squares writes x·x. Exact.
func Squares(y, x []float32) {
	x = x[:len(y)]
	n := squaresVectors(y, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] = x[i] * x[i]
	}
}

// Distances computes y = max(y + x + a, 0), which makes squared distances of
// products: y holds -2 p·q, x holds p·p and a is q·q. NaN stays. Exact but for the
// sign of zero.
func Distances(y, x []float32, a float32) {
	x = x[:len(y)]
	n := distancesVectors(y, x, a)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] = max(y[i]+x[i]+a, 0)
	}
}

// AddMatern computes y += a·(1 + s)·e^-s with s the root of factor·x: a Matérn
// kernel of order 3/2 at squared distances x >= 0. The kernel is within 4 + s
// units in the last place; it agrees between machines as Exp does.
func AddMatern(y, x []float32, factor, a float32) {
	x = x[:len(y)]
	n := maternVectors(y, x, factor, a)
	y, x = y[n:], x[n:]
	for i := range y {
		s := float32(math.Sqrt(float64(factor * x[i])))
		y[i] += a * ((1 + s) * exp(-s))
	}
}

// Scale computes y *= a. Exact.
func Scale(y []float32, a float32) {
	n := scaleVectors(y, a)
	y = y[n:]
	for i := range y {
		y[i] *= a
	}
}

// AddRows adds bias to every row of y [n, len(bias)]. Exact.
func AddRows(y, bias []float32) {
	for ; len(y) > 0; y = y[len(bias):] {
		Add(y[:len(bias)], bias)
	}
}

// SumRows adds every row of y [n, len(sum)] to sum, in their order. Exact.
func SumRows(sum, y []float32) {
	for ; len(y) > 0; y = y[len(sum):] {
		Add(sum, y[:len(sum)])
	}
}

// ReLU writes max(x, 0); NaN stays. Exact but for the sign of zero.
func ReLU(y, x []float32) {
	x = x[:len(y)]
	n := reLUVectors(y, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] = max(x[i], 0)
	}
}

// ReLUBack clears the gradient dy where the output y of a ReLU is not above
// zero. Exact.
func ReLUBack(dy, y []float32) {
	y = y[:len(dy)]
	n := reLUBackVectors(dy, y)
	dy, y = dy[n:], y[n:]
	for i := range dy {
		if !(y[i] > 0) {
			dy[i] = 0
		}
	}
}

// Dot returns the inner product. With vectors it is the sum of 64 chains of
// fused multiply-adds in a fixed order, the same for AVX2 and AVX-512; plain Go
// adds from the left.
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	sum, n := dotVectors(x, y)
	x, y = x[n:], y[n:]
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// Exp writes e^x within 2 units in the last place for x from -86 to 88; beyond,
// it stays at the values there, and NaN stays NaN. AVX2 and AVX-512 agree to the
// bit on whole vectors; plain Go goes by way of math.Exp.
func Exp(y, x []float32) {
	x = x[:len(y)]
	n := expVectors(y, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] = exp(x[i])
	}
}

func exp(x float32) float32 {
	return float32(math.Exp(float64(min(max(x, -86), 88))))
}

// Sigmoid writes 1 / (1 + e^-x) within 3 units in the last place, for x below
// -88 the value at -88, 6e-39. It agrees between machines as Exp does.
func Sigmoid(y, x []float32) {
	x = x[:len(y)]
	n := sigmoidVectors(y, x)
	y, x = y[n:], x[n:]
	for i := range y {
		y[i] = sigmoid(x[i])
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + exp(-x)) }

// The decay of the moments of AdamW, and its epsilon.
const (
	Beta1   = .9
	Beta2   = .999
	epsilon = 1e-8
)

// AdamW updates the weights w with the gradient g and the moments m and v:
//
//	m += (1 - Beta1)·(g - m)
//	v = Beta2·v + (1 - Beta2)·g²
//	w = decay·w - rate·m / (correction·√v + Epsilon)
//
// where rate and correction hold the factors of this step that undo the bias of
// the moments. Exact. Source: Loshchilov & Hutter, "Decoupled weight decay
// regularization", 2019.
func AdamW(w, g, m, v []float32, rate, decay, correction float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	n := adamWVectors(w, g, m, v, rate, decay, correction)
	w, g, m, v = w[n:], g[n:], m[n:], v[n:]
	for i, d := range g {
		m[i] += (1 - Beta1) * (d - m[i])
		v[i] = Beta2*v[i] + (1-Beta2)*d*d
		w[i] = w[i]*decay - rate*m[i]/(float32(math.Sqrt(float64(v[i])))*correction+epsilon)
	}
}

// Dropout clears each number with probability p, to the nearest 1/65536, and
// multiplies the others by DropoutScale(p), so that the mean stays. Which ones
// depends on the seed and on their place in x. Exact.
func Dropout(x []float32, p float32, seed uint64) {
	if p == 0 {
		return
	}
	threshold, scale := uint32(p*(1<<16)+.5), DropoutScale(p)
	n := dropoutVectors(x, threshold, scale, uint32(seed), uint32(seed>>32))
	for i := n; i < len(x); i++ {
		word := hash(uint32(i/32*16+i%16), seed)
		if i%32 >= 16 {
			word >>= 16
		}
		if word&0xffff < threshold {
			x[i] = 0
		} else {
			x[i] *= scale
		}
	}
}

// DropoutScale is the factor of the numbers that Dropout leaves.
func DropoutScale(p float32) float32 { return 1 / (1 - p) }

// hash mixes a count and a seed to 32 random bits. Constants: C. Wellons,
// "Prospecting for hash functions", 2018.
func hash(count uint32, seed uint64) uint32 {
	h := count*0x9e3779b1 + uint32(seed)
	h ^= h >> 16
	h *= 0x7feb352d
	h ^= h >> 15
	h ^= uint32(seed >> 32)
	h *= 0x846ca68b
	return h ^ h>>16
}
