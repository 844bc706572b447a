package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose moves squares of 8 x 8 numbers; both levels use it.
func transpose() {
	s := isas[1]
	s.function("transpose", "func(rows, columns int, dst *float32, width int, src *float32, stride int)",
		"writes the transpose of src [columns, rows] to dst [rows, columns], both counts multiples of 8.")
	rows, columns := Load(Param("rows"), GP64()), Load(Param("columns"), GP64())
	dst, src := pointer("dst"), pointer("src")
	width, stride := Load(Param("width"), GP64()), Load(Param("stride"), GP64())
	SHLQ(U8(2), width)
	SHLQ(U8(2), stride)
	// Row i of a square is reached as base + i·step, i from 0 to 7.
	row := func(base, base3, step Register, i int) Mem {
		if i < 3 {
			if i == 0 {
				return Mem{Base: base}
			}
			return Mem{Base: base, Index: step, Scale: uint8(i)}
		}
		if i == 3 {
			return Mem{Base: base3}
		}
		if i == 4 {
			return Mem{Base: base, Index: step, Scale: 4}
		}
		if i == 5 {
			return Mem{Base: base3, Index: step, Scale: 2}
		}
		if i == 7 {
			return Mem{Base: base3, Index: step, Scale: 4}
		}
		panic("row 6 needs a base of its own")
	}
	third := func(base3, base, step Register) {
		LEAQ(Mem{Base: base, Index: step, Scale: 2}, base3)
		ADDQ(step, base3)
	}
	from, to, from3, to3, six, left := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Label("columns")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(rows, left)
	Label("rows")
	third(from3, from, stride)
	third(to3, to, width)
	v := make([]VecVirtual, 8)
	for i := range v {
		if i == 6 {
			LEAQ(Mem{Base: from3, Index: stride, Scale: 2}, six)
			ADDQ(stride, six)
			v[i] = s.load(Mem{Base: six})
			continue
		}
		v[i] = s.load(row(from, from3, stride, i))
	}
	pairs := make([]VecVirtual, 8) // of rows 2p and 2p+1, low and high numbers
	for p := range 4 {
		pairs[2*p], pairs[2*p+1] = s.vector(), s.vector()
		VUNPCKLPS(v[2*p+1], v[2*p], pairs[2*p])
		VUNPCKHPS(v[2*p+1], v[2*p], pairs[2*p+1])
	}
	fours := make([]VecVirtual, 8) // fours[4h+c] is number c of the four rows of half h, in both lanes
	for h := range 2 {
		for c := range 4 {
			fours[4*h+c] = s.vector()
			select4 := U8(0x44)
			if c%2 == 1 {
				select4 = U8(0xee)
			}
			VSHUFPS(select4, pairs[4*h+2+c/2], pairs[4*h+c/2], fours[4*h+c])
		}
	}
	for i := range 8 {
		lanes := U8(0x20)
		if i >= 4 {
			lanes = U8(0x31)
		}
		out := s.vector()
		VPERM2F128(lanes, fours[4+i%4], fours[i%4], out)
		if i == 6 {
			LEAQ(Mem{Base: to3, Index: width, Scale: 2}, six)
			ADDQ(width, six)
			VMOVUPS(out, Mem{Base: six})
			continue
		}
		VMOVUPS(out, row(to, to3, width, i))
	}
	ADDQ(U8(32), from)
	LEAQ(Mem{Base: to, Index: width, Scale: 8}, to)
	SUBQ(U8(8), left)
	JNZ(LabelRef("rows"))
	LEAQ(Mem{Base: src, Index: stride, Scale: 8}, src)
	ADDQ(U8(32), dst)
	SUBQ(U8(8), columns)
	JNZ(LabelRef("columns"))
	s.end()
}
