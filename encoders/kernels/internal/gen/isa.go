package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is a set of vector instructions for which a pass is written once. Both
// sets compute the same operations in the same order, so that they agree to the
// bit.
type isa struct {
	suffix string
	bytes  int // of a vector
	vector func() VecVirtual
}

var isas = []isa{{"512", 64, ZMM}, {"256", 32, YMM}}

func (s isa) wide() bool { return s.bytes == 64 }

// function begins a function whose argument n counts numbers, a multiple of
// the vector's.
func (s isa) function(name, signature, doc string) {
	TEXT(name+s.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + s.suffix + " " + doc)
}

func (s isa) end() {
	VZEROUPPER()
	RET()
}

// filled returns a register with x in every lane.
func (s isa) filled(x float32) VecVirtual {
	v := s.vector()
	VBROADCASTSS(constant(x), v)
	return v
}

// fill is filled where registers abound, and a memory operand otherwise.
func (s isa) fill(x float32) Op {
	if s.wide() {
		return s.filled(x)
	}
	name := fmt.Sprintf("vector_%08x", math.Float32bits(x))
	if m, ok := vectors[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range s.bytes / 4 {
		DATA(4*i, F32(x))
	}
	vectors[name] = m
	return m
}

var vectors = map[string]Mem{}

func constant(x float32) Mem {
	name := fmt.Sprintf("number_%08x", math.Float32bits(x))
	if m, ok := vectors[name]; ok {
		return m
	}
	m := ConstData(name, U32(math.Float32bits(x)))
	vectors[name] = m
	return m
}

// zero returns a register of zeros.
func (s isa) zero() VecVirtual {
	v := s.vector()
	VXORPS(v.AsX(), v.AsX(), v.AsX())
	return v
}

// broadcast fills a register with a parameter.
func (s isa) broadcast(name string) VecVirtual {
	v := s.vector()
	VBROADCASTSS(address(Param(name)), v)
	return v
}

// address returns the place of a parameter or result.
func address(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (s isa) load(m Mem) VecVirtual {
	v := s.vector()
	VMOVUPS(m, v)
	return v
}

// positive clears the lanes of v in which x is not above zero.
func (s isa) positive(x, v, zero VecVirtual) {
	const greater = 0x1e
	if s.wide() {
		mask := K()
		VCMPPS(U8(greater), zero, x, mask)
		VMOVAPS_Z(v, mask, v)
		return
	}
	mask := s.vector()
	VCMPPS(U8(greater), zero, x, mask)
	VANDPS(mask, v, v)
}

// stream emits a loop over vectors: body reads and writes at the offset i from
// pointers.
func (s isa) stream(n Register, body func(at func(pointer Register) Mem)) {
	i := GP64()
	XORQ(i, i)
	SHLQ(U8(2), n)
	Label("loop")
	body(func(p Register) Mem { return Mem{Base: p, Index: i, Scale: 1} })
	ADDQ(U8(s.bytes), i)
	CMPQ(i, n)
	JB(LabelRef("loop"))
}

func pointer(name string) Register { return Load(Param(name), GP64()) }
