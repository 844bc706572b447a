package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential computes e^-x: with n the integer nearest to -x/ln 2 and
// r = x + n·ln 2, e^-x = 2^n · e^-r, where e^-r is a polynomial of degree 6 on
// |r| <= ln 2 / 2, fitted for the least relative error (4e-9 with exact
// coefficients). ln 2 is split in two, so that n times its first part is exact.
type exponential struct {
	isa
	low, high, magic, one VecVirtual
	perLog2               Op
	ln2                   [2]Op
	coefficients          [5]Op // of r^6 down to r^2
	minusOne              Op
}

// Between these bounds 2^n is a normal number. Beyond, e^-x stays at their
// values, which 1 + e^-x does not show.
const (
	lowest  = -88
	highest = 86
)

func newExponential(s isa) exponential {
	return exponential{
		isa: s, low: s.filled(lowest), high: s.filled(highest),
		magic: s.filled(3 << 22), // adding it leaves the nearest integer in the low bits
		one:   s.filled(1), minusOne: s.fill(-1),
		perLog2: s.fill(-math.Log2E),
		ln2:     [2]Op{s.fill(0.693359375), s.fill(-2.12194440e-4)},
		coefficients: [5]Op{
			s.fill(0.0013814539), s.fill(-0.008368745), s.fill(0.04166839), s.fill(-0.16666521), s.fill(0.49999994),
		},
	}
}

// of returns e^-x in a new register and destroys x. NaN stays NaN.
func (e exponential) of(x VecVirtual) VecVirtual {
	VMINPS(x, e.high, x)
	VMAXPS(x, e.low, x)
	z, n, p := e.vector(), e.vector(), e.vector()
	VMOVAPS(x, z)
	VFMADD132PS(e.perLog2, e.magic, z)
	VSUBPS(e.magic, z, n)
	VFMADD231PS(e.ln2[0], n, x)
	VFMADD231PS(e.ln2[1], n, x)
	VMOVUPS(e.coefficients[0], p)
	for _, c := range e.coefficients[1:] {
		VFMADD213PS(c, x, p)
	}
	VFMADD213PS(e.minusOne, x, p)
	VFMADD213PS(e.one, x, p)
	VPSLLD(U8(23), z, z)
	VPADDD(z, p, p)
	return p
}

// sigmoid returns 1 / (1 + e^-x) in a new register and destroys x.
func (e exponential) sigmoid(x VecVirtual) VecVirtual {
	p := e.of(x)
	VADDPS(e.one, p, p)
	VDIVPS(p, e.one, p)
	return p
}

func sigmoids(s isa) {
	s.function("sigmoid", "func(n int, y, x *float32)", "writes y = 1 / (1 + exp(-x)).")
	n, y, x := pointer("n"), pointer("y"), pointer("x")
	e := newExponential(s)
	s.stream(n, func(at func(Register) Mem) {
		VMOVUPS(e.sigmoid(s.load(at(x))), at(y))
	})
	s.end()
}

func exps(s isa) {
	s.function("exp", "func(n int, y, x *float32)", "writes y = exp(x) for x within -86 and 88, and its values there beyond.")
	n, y, x := pointer("n"), pointer("y"), pointer("x")
	e := newExponential(s)
	zero := s.zero()
	s.stream(n, func(at func(Register) Mem) {
		v := s.load(at(x))
		VSUBPS(v, zero, v)
		VMOVUPS(e.of(v), at(y))
	})
	s.end()
}
