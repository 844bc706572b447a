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

// each emits a loop; body is given a register with the row number. name prefixes its
// labels.
func (n neighbours) each(name string, body func(row Register)) {
	XORQ(n.j, n.j)
	Label("neighbour" + name)
	CMPQ(n.j, n.count)
	JGE(LabelRef("joined" + name))
	r := GP64()
	MOVLQSX(Mem{Base: n.near, Index: n.j, Scale: 4}, r)
	body(r)
	INCQ(n.j)
	JMP(LabelRef("neighbour" + name))
	Label("joined" + name)
}

// columns emits loops over n columns from the offset i on, by groups of vectors
// as long as they last, one size after the other.
func (s isa) columns(n, i Register, groups []int, body func(name string, vectors int)) {
	XORQ(i, i)
	SHLQ(U8(2), n)
	left := GP64()
	for _, vectors := range groups {
		name := fmt.Sprint(vectors)
		Label("columns" + name)
		MOVQ(n, left)
		SUBQ(i, left)
		CMPQ(left, U8(vectors*s.bytes-1))
		JLE(LabelRef("columned" + name))
		body(name, vectors)
		ADDQ(U8(vectors*s.bytes), i)
		JMP(LabelRef("columns" + name))
		Label("columned" + name)
	}
}

const gatedRows = "self int, near *int32, count, width int"

// gated keeps the sum of a few vectors of columns in registers over all
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
	groups := []int{1} // all that 16 registers allow
	if s.wide() {
		groups = []int{2, 1}
	}
	s.columns(n, i, groups, func(name string, vectors int) {
		own := Load(Param("self"), GP64())
		rows.row(own, own, rows.base, i)
		k, sum := make([]VecVirtual, vectors), make([]VecVirtual, vectors)
		for v := range vectors {
			k[v] = s.load(Mem{Base: own, Disp: v * s.bytes})
		}
		ADDQ(rows.width, own)
		for v := range vectors {
			sum[v] = s.load(rows.block(own, 2).Offset(v * s.bytes))
		}
		MOVQ(gates, gate)
		rows.each(name, func(row Register) {
			rows.row(row, row, rows.base, i)
			t := make([]VecVirtual, vectors)
			for v := range vectors {
				t[v] = s.vector()
				VADDPS(rows.block(row, 1).Offset(v*s.bytes), k[v], t[v])
				t[v] = e.sigmoid(t[v])
			}
			TESTQ(gate, gate)
			JZ(LabelRef("unkept" + name))
			for v := range vectors {
				VMOVUPS(t[v], Mem{Base: gate, Index: i, Scale: 1, Disp: v * s.bytes})
			}
			ADDQ(rows.width, gate)
			Label("unkept" + name)
			for v := range vectors {
				VFMADD231PS(rows.block(row, 2).Offset(v*s.bytes), t[v], sum[v])
			}
		})
		for v := range vectors {
			t := s.vector()
			VMULPS(Mem{Base: x0, Index: i, Scale: 1, Disp: v * s.bytes}, keep, t)
			VFMADD231PS(take, sum[v], t)
			VMAXPS(t, zero, t)
			VMOVUPS(t, Mem{Base: x, Index: i, Scale: 1, Disp: v * s.bytes})
		}
	})
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
	s.columns(n, i, []int{1}, func(name string, vectors int) {
		at := func(p Register, v int) Mem { return Mem{Base: p, Index: i, Scale: 1, Disp: v * s.bytes} }
		d, dk := make([]VecVirtual, vectors), make([]VecVirtual, vectors)
		own := Load(Param("self"), GP64())
		rows.row(own, own, dy, i)
		ADDQ(rows.width, own)
		for v := range vectors {
			d[v], dk[v] = s.load(at(dx, v)), s.zero()
			VMULPS(scale, d[v], d[v])
			s.positive(s.load(at(x, v)), d[v], zero)
			t := s.load(at(dx0, v))
			VFMADD231PS(keep, d[v], t)
			VMOVUPS(t, at(dx0, v))
			VMULPS(take, d[v], d[v])
			skip := rows.block(own, 2).Offset(v * s.bytes)
			VADDPS(skip, d[v], t)
			VMOVUPS(t, skip)
		}
		Load(Param("gates"), gate)
		rows.each(name, func(row Register) {
			from := GP64()
			rows.row(from, row, rows.base, i)
			rows.row(row, row, dy, i)
			for v := range vectors {
				g, u, t := s.load(at(gate, v)), s.vector(), s.vector()
				dq, dv := rows.block(row, 1).Offset(v*s.bytes), rows.block(row, 2).Offset(v*s.bytes)
				VMULPS(g, d[v], u)
				VADDPS(dv, u, t)
				VMOVUPS(t, dv)
				VMULPS(rows.block(from, 2).Offset(v*s.bytes), u, u)
				VSUBPS(g, one, g)
				VMULPS(g, u, u)
				VADDPS(u, dk[v], dk[v])
				VADDPS(dq, u, u)
				VMOVUPS(u, dq)
			}
			ADDQ(rows.width, gate)
		})
		Load(Param("self"), own)
		rows.row(own, own, dy, i)
		for v := range vectors {
			key := Mem{Base: own, Disp: v * s.bytes}
			VADDPS(key, dk[v], dk[v])
			VMOVUPS(dk[v], key)
		}
	})
	s.end()
}
