package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// neighbours walks over the rows of a matrix [rows, 4 width] that the list
// near names.
type neighbours struct {
	base, near, count, width, stride Register // width and stride in bytes
	j                                Register
}

func loadNeighbours(base string) neighbours {
	n := neighbours{
		base: pointer(base), near: pointer("near"), count: Load(Param("count"), GP64()),
		width: Load(Param("width"), GP64()), stride: GP64(), j: GP64(),
	}
	SHLQ(U8(2), n.width)
	MOVQ(n.width, n.stride)
	SHLQ(U8(2), n.stride)
	return n
}

// row sets at to row number r of base, plus offset.
func (n neighbours) row(at, r, base, offset Register) {
	if at != r {
		MOVQ(r, at)
	}
	IMULQ(n.stride, at)
	ADDQ(base, at)
	ADDQ(offset, at)
}

// block is the address of the column block 0 to 3 of the row at.
func (n neighbours) block(at Register, block int) Mem {
	return Mem{Base: at, Index: n.width, Scale: uint8(block)}
}

// each emits a loop; body is given a register with the row number.
func (n neighbours) each(body func(row Register)) {
	XORQ(n.j, n.j)
	Label("neighbour")
	CMPQ(n.j, n.count)
	JGE(LabelRef("joined"))
	r := GP64()
	MOVLQSX(Mem{Base: n.near, Index: n.j, Scale: 4}, r)
	body(r)
	INCQ(n.j)
	JMP(LabelRef("neighbour"))
	Label("joined")
}

const gatedRows = "self int, near *int32, count, width int"

// gated keeps the sum of one vector of columns in a register over all
// neighbours.
func gated(s isa) {
	s.function("gated", fmt.Sprintf("func(n int, x, gates, x0, y *float32, %s, keep, take float32)", gatedRows),
		"computes n columns of a node; see Gated.")
	n, x, gates, x0 := pointer("n"), pointer("x"), pointer("gates"), pointer("x0")
	rows := loadNeighbours("y")
	keep, take := s.broadcast("keep"), s.broadcast("take")
	e := newExponential(s)
	zero := s.zero()
	i, gate := GP64(), GP64()
	XORQ(i, i)
	SHLQ(U8(2), n)
	Label("columns")
	{
		own := Load(Param("self"), GP64())
		rows.row(own, own, rows.base, i)
		k := s.load(Mem{Base: own})
		ADDQ(rows.width, own)
		sum := s.load(rows.block(own, 2))
		MOVQ(gates, gate)
		rows.each(func(row Register) {
			rows.row(row, row, rows.base, i)
			t := s.vector()
			VADDPS(rows.block(row, 1), k, t)
			t = e.sigmoid(t)
			TESTQ(gate, gate)
			JZ(LabelRef("unkept"))
			VMOVUPS(t, Mem{Base: gate, Index: i, Scale: 1})
			ADDQ(rows.width, gate)
			Label("unkept")
			VFMADD231PS(rows.block(row, 2), t, sum)
		})
		t := s.vector()
		VMULPS(Mem{Base: x0, Index: i, Scale: 1}, keep, t)
		VFMADD231PS(take, sum, t)
		VMAXPS(t, zero, t)
		VMOVUPS(t, Mem{Base: x, Index: i, Scale: 1})
	}
	ADDQ(U8(s.bytes), i)
	CMPQ(i, n)
	JB(LabelRef("columns"))
	s.end()
}

func gatedBack(s isa) {
	s.function("gatedBack", fmt.Sprintf("func(n int, dy, dx0, dx, x, gates, y *float32, %s, scale, keep, take float32)", gatedRows),
		"takes n columns of a node back; see GatedBack.")
	n, dy, dx0, dx, x := pointer("n"), pointer("dy"), pointer("dx0"), pointer("dx"), pointer("x")
	rows := loadNeighbours("y")
	scale, keep, take := s.broadcast("scale"), s.broadcast("keep"), s.broadcast("take")
	one, zero := s.filled(1), s.zero()
	i, gate := GP64(), GP64()
	XORQ(i, i)
	SHLQ(U8(2), n)
	Label("columns")
	{
		at := func(p Register) Mem { return Mem{Base: p, Index: i, Scale: 1} }
		d := s.load(at(dx))
		VMULPS(scale, d, d)
		s.positive(s.load(at(x)), d, zero)
		t := s.load(at(dx0))
		VFMADD231PS(keep, d, t)
		VMOVUPS(t, at(dx0))
		VMULPS(take, d, d)

		own := Load(Param("self"), GP64())
		rows.row(own, own, dy, i)
		ADDQ(rows.width, own)
		VADDPS(rows.block(own, 2), d, t)
		VMOVUPS(t, rows.block(own, 2))
		dk := s.zero()
		Load(Param("gates"), gate)
		rows.each(func(row Register) {
			from := GP64()
			rows.row(from, row, rows.base, i)
			rows.row(row, row, dy, i)
			g, u, v := s.load(at(gate)), s.vector(), s.vector()
			ADDQ(rows.width, gate)
			VMULPS(g, d, u)
			VADDPS(rows.block(row, 2), u, v)
			VMOVUPS(v, rows.block(row, 2))
			VMULPS(rows.block(from, 2), u, u)
			VSUBPS(g, one, g)
			VMULPS(g, u, u)
			VADDPS(u, dk, dk)
			VADDPS(rows.block(row, 1), u, u)
			VMOVUPS(u, rows.block(row, 1))
		})
		Load(Param("self"), own)
		rows.row(own, own, dy, i)
		VADDPS(Mem{Base: own}, dk, dk)
		VMOVUPS(dk, Mem{Base: own})
	}
	ADDQ(U8(s.bytes), i)
	CMPQ(i, n)
	JB(LabelRef("columns"))
	s.end()
}
