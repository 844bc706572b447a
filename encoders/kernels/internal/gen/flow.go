package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// flowState serves both levels: states are so short that wider vectors gain
// nothing.
func flowState() {
	s := isas[1]
	s.function("flowState", "func(width, k int, state, row, weights, scratch *float32, alpha, bound float32)",
		"turns a message into a state; see FlowState.")
	width, k := Load(Param("width"), GP64()), Load(Param("k"), GP64())
	state, row, weights, scratch := pointer("state"), pointer("row"), pointer("weights"), pointer("scratch")
	alpha, bound := s.broadcast("alpha"), s.broadcast("bound")
	zero, below := s.zero(), s.vector()
	VSUBPS(bound, zero, below)
	i, j, w := GP64(), GP64(), GP64()
	SHLQ(U8(2), width)
	columns := func(label string, body func(at func(Register) Mem)) {
		XORQ(i, i)
		Label(label)
		body(func(p Register) Mem { return Mem{Base: p, Index: i, Scale: 1} })
		ADDQ(U8(s.bytes), i)
		CMPQ(i, width)
		JB(LabelRef(label))
	}
	columns("bounded", func(at func(Register) Mem) {
		v := s.vector()
		VMINPS(at(state), bound, v)
		VMAXPS(v, below, v)
		VMOVUPS(v, at(state))
	})
	columns("transformed", func(at func(Register) Mem) {
		sum, m := s.load(at(row)), s.vector()
		MOVQ(weights, w)
		XORQ(j, j)
		Label("message")
		VBROADCASTSS(Mem{Base: state, Index: j, Scale: 4}, m)
		VFMADD231PS(at(w), m, sum)
		ADDQ(width, w)
		INCQ(j)
		CMPQ(j, k)
		JB(LabelRef("message"))
		VMAXPS(sum, zero, sum)
		VFMADD231PS(at(state), alpha, sum)
		VMOVUPS(sum, at(scratch))
	})
	columns("copied", func(at func(Register) Mem) {
		VMOVUPS(s.load(at(scratch)), at(state))
	})
	s.end()
}
