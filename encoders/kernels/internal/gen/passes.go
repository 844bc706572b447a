package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// passes are loops over whole slices.
func passes(s isa) {
	sigmoids(s)
	exps(s)

	s.function("add", "func(n int, y, x *float32)", "computes y += x.")
	n, y, x := pointer("n"), pointer("y"), pointer("x")
	s.stream(n, func(at func(Register) Mem) {
		v := s.load(at(y))
		VADDPS(at(x), v, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	s.function("addScaled", "func(n int, y *float32, a float32, x *float32)", "computes y += a·x, product and sum rounded each.")
	n, y, x = pointer("n"), pointer("y"), pointer("x")
	a := s.broadcast("a")
	s.stream(n, func(at func(Register) Mem) {
		v := s.vector()
		VMULPS(at(x), a, v)
		VADDPS(at(y), v, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	s.function("scale", "func(n int, y *float32, a float32)", "computes y *= a.")
	n, y = pointer("n"), pointer("y")
	a = s.broadcast("a")
	s.stream(n, func(at func(Register) Mem) {
		v := s.vector()
		VMULPS(at(y), a, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	s.function("reLU", "func(n int, y, x *float32)", "computes y = max(x, 0); NaN stays.")
	n, y, x = pointer("n"), pointer("y"), pointer("x")
	zero := s.zero()
	s.stream(n, func(at func(Register) Mem) {
		v := s.vector()
		VMAXPS(at(x), zero, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	s.function("reLUBack", "func(n int, dy, y *float32)", "clears dy where y is not above zero.")
	n, dy, y := pointer("n"), pointer("dy"), pointer("y")
	zero = s.zero()
	s.stream(n, func(at func(Register) Mem) {
		d := s.load(at(dy))
		s.positive(s.load(at(y)), d, zero)
		VMOVUPS(d, at(dy))
	})
	s.end()

	s.function("squares", "func(n int, y, x *float32)", "writes y = x·x.")
	n, y, x = pointer("n"), pointer("y"), pointer("x")
	s.stream(n, func(at func(Register) Mem) {
		v := s.load(at(x))
		VMULPS(v, v, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	s.function("distances", "func(n int, y, x *float32, a float32)", "computes y = max(y + x + a, 0).")
	n, y, x = pointer("n"), pointer("y"), pointer("x")
	a, zero = s.broadcast("a"), s.zero()
	s.stream(n, func(at func(Register) Mem) {
		v := s.load(at(y))
		VADDPS(at(x), v, v)
		VADDPS(a, v, v)
		VMAXPS(v, zero, v)
		VMOVUPS(v, at(y))
	})
	s.end()

	matern(s)
	dot(s)
	adamW(s)
	dropout(s)
}

// matern sums the kernel of that name.
func matern(s isa) {
	s.function("matern", "func(n int, y, x *float32, factor, a float32)", "computes y += a·(1 + s)·exp(-s), s the root of factor·x.")
	n, y, x := pointer("n"), pointer("y"), pointer("x")
	factor, a := s.broadcast("factor"), s.broadcast("a")
	e := newExponential(s)
	s.stream(n, func(at func(Register) Mem) {
		v, w := s.vector(), s.vector()
		VMULPS(at(x), factor, v)
		VSQRTPS(v, v)
		VADDPS(e.one, v, w)
		VMULPS(e.of(v), w, w)
		VMULPS(a, w, w)
		VADDPS(at(y), w, w)
		VMOVUPS(w, at(y))
	})
	s.end()
}

// dot sums in four registers that are added in a fixed order at the end.
func dot(s isa) {
	s.function("dot", "func(n int, x, y *float32) float32", "returns the inner product.")
	n, x, y := pointer("n"), pointer("x"), pointer("y")
	// 64 sums, for every vector width: lane l of sum i belongs to the numbers 64 j +
	// i·lanes + l.
	sums := make([]VecVirtual, 256/s.bytes)
	for i := range sums {
		sums[i] = s.zero()
	}
	v := s.vector()
	SHLQ(U8(2), n)
	ADDQ(x, n)
	Label("loop")
	for i := range sums {
		VMOVUPS(Mem{Base: x, Disp: i * s.bytes}, v)
		VFMADD231PS(Mem{Base: y, Disp: i * s.bytes}, v, sums[i])
	}
	ADDQ(U32(256), x)
	ADDQ(U32(256), y)
	CMPQ(x, n)
	JB(LabelRef("loop"))
	for half := len(sums) / 2; half > 0; half /= 2 {
		for i := range half {
			VADDPS(sums[i+half], sums[i], sums[i])
		}
	}
	total := sums[0]
	if s.wide() {
		upper := YMM()
		VEXTRACTF64X4(U8(1), total, upper)
		VADDPS(upper, total.AsY(), total.AsY())
	}
	upper := XMM()
	VEXTRACTF128(U8(1), total.AsY(), upper)
	VADDPS(upper, total.AsX(), total.AsX())
	VMOVHLPS(total.AsX(), total.AsX(), upper)
	VADDPS(upper, total.AsX(), total.AsX())
	VMOVSHDUP(total.AsX(), upper)
	VADDSS(upper, total.AsX(), total.AsX())
	VMOVSS(total.AsX(), address(ReturnIndex(0)))
	s.end()
}

// adamW rounds every operation, as the plain loop does.
func adamW(s isa) {
	s.function("adamW", "func(n int, w, gradient, m, v *float32, rate, decay, correction float32)", "updates weights and moments.")
	n, w, g, m, v := pointer("n"), pointer("w"), pointer("gradient"), pointer("m"), pointer("v")
	rate, decay, correction := s.broadcast("rate"), s.broadcast("decay"), s.broadcast("correction")
	new1, old2, new2, epsilon := s.filled(.1), s.filled(.999), s.filled(.001), s.filled(1e-8)
	s.stream(n, func(at func(Register) Mem) {
		d, first, second, t := s.load(at(g)), s.load(at(m)), s.vector(), s.vector()
		VSUBPS(first, d, t)
		VMULPS(new1, t, t)
		VADDPS(t, first, first)
		VMOVUPS(first, at(m))
		VMULPS(new2, d, t)
		VMULPS(d, t, t)
		VMULPS(at(v), old2, second)
		VADDPS(t, second, second)
		VMOVUPS(second, at(v))
		VSQRTPS(second, second)
		VMULPS(correction, second, second)
		VADDPS(epsilon, second, second)
		VMULPS(rate, first, first)
		VDIVPS(second, first, first)
		VMULPS(at(w), decay, t)
		VSUBPS(first, t, t)
		VMOVUPS(t, at(w))
	})
	s.end()
}

// dropout takes 32 numbers at a time: 16 words are hashed of the count of words
// so far and the seed, the lower half of word l decides on number l, the upper
// half on number 16 + l.
func dropout(s isa) {
	s.function("dropout", "func(n int, x *float32, threshold uint32, scale float32, low, high uint32)", "clears numbers whose 16 bits are below threshold and scales the others; n is a multiple of 32.")
	n, x := pointer("n"), pointer("x")
	integers := func(name string) VecVirtual {
		v := s.vector()
		VBROADCASTSS(address(Param(name)), v)
		return v
	}
	threshold, high, scale := integers("threshold"), integers("high"), s.broadcast("scale")
	multiplier := func(c uint32) VecVirtual {
		v := s.vector()
		VPBROADCASTD(constant(math.Float32frombits(c)), v)
		return v
	}
	golden := uint32(0x9e3779b1)
	first, second, step := multiplier(0x7feb352d), multiplier(0x846ca68b), multiplier(16*golden&0xffffffff)
	halves := 64 / s.bytes
	count := make([]VecVirtual, halves)
	start := GLOBL("dropout_start"+s.suffix, RODATA|NOPTR)
	for l := range 16 {
		DATA(4*l, U32(uint32(l)*golden))
	}
	for h := range count {
		count[h] = integers("low")
		VPADDD(start.Offset(h*s.bytes), count[h], count[h])
	}
	h, t := s.vector(), s.vector()
	SHLQ(U8(2), n)
	ADDQ(x, n)
	Label("loop")
	for half, c := range count {
		fold := func(bits uint64) {
			VPSRLD(U8(bits), h, t)
			s.xor(t, h)
		}
		VPSRLD(U8(16), c, h)
		s.xor(c, h)
		VPMULLD(first, h, h)
		fold(15)
		s.xor(high, h)
		VPMULLD(second, h, h)
		fold(16)
		VPADDD(step, c, c)
		for part, at := range []Mem{{Base: x, Disp: half * s.bytes}, {Base: x, Disp: 64 + half*s.bytes}} {
			if part == 0 {
				VPSLLD(U8(16), h, t)
				VPSRLD(U8(16), t, t)
			} else {
				VPSRLD(U8(16), h, t)
			}
			VPSUBD(threshold, t, t)
			VPSRAD(U8(31), t, t)
			v := s.vector()
			VMULPS(at, scale, v)
			VANDNPS(v, t, v)
			VMOVUPS(v, at)
		}
	}
	ADDQ(U32(128), x)
	CMPQ(x, n)
	JB(LabelRef("loop"))
	s.end()
}

// xor computes y ^= x.
func (s isa) xor(x, y VecVirtual) {
	if s.wide() {
		VPXORD(x, y, y)
	} else {
		VPXOR(x, y, y)
	}
}
