package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A sparse panel is 128 columns wide, eight vectors, and 64 rows deep, so that it
// fills the first-level cache.
const (
	sparseVectors = 8
	sparseRow     = 64 * sparseVectors // bytes of a row of the panel
)

// compress lists the numbers of each row that are not zero, and for each the
// offset of its row in a panel.
func compress() {
	TEXT("compress512", NOSPLIT, "func(rows, vectors int, a *float32, rs int, values *float32, offsets *uint32, counts *uint32)")
	Pragma("noescape")
	Doc("compress512 lists the numbers of each row that are not zero and the offsets of their rows in a panel.")
	rows, vectors, a, rs := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64()), pointer("a"), Load(Param("rs"), GP64())
	values, offsets, counts := pointer("values"), pointer("offsets"), pointer("counts")
	start := GLOBL("sparse_offsets", RODATA|NOPTR)
	for l := range 16 {
		DATA(4*l, U32(uint32(l*sparseRow)))
	}
	first, step, zero := ZMM(), ZMM(), ZMM()
	VMOVUPS(start, first)
	VPBROADCASTD(ConstData("sparse_step", U32(16*sparseRow)), step)
	VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
	count, run, left, bits := GP64(), GP64(), GP64(), GP64()
	offset := ZMM()
	Label("row")
	XORQ(count, count)
	MOVQ(a, run)
	MOVQ(vectors, left)
	VMOVAPS(first, offset)
	Label("vector")
	v, o, mask := ZMM(), ZMM(), K()
	VMOVUPS(Mem{Base: run}, v)
	VCMPPS(U8(4), zero, v, mask) // not equal, or not a number
	VCOMPRESSPS(v, mask, v)
	VPCOMPRESSD(offset, mask, o)
	VMOVUPS(v, Mem{Base: values, Index: count, Scale: 4})
	VMOVUPS(o, Mem{Base: offsets, Index: count, Scale: 4})
	VPADDD(step, offset, offset)
	KMOVW(mask, bits.As32())
	POPCNTQ(bits, bits)
	ADDQ(bits, count)
	ADDQ(U8(64), run)
	DECQ(left)
	JNZ(LabelRef("vector"))
	MOVL(count.As32(), Mem{Base: counts})
	ADDQ(U8(4), counts)
	ADDQ(rs, a)
	ADDQ(U32(4*64), values)
	ADDQ(U32(4*64), offsets)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// sparse multiplies listed rows by a panel.
func sparse() {
	TEXT("sparse512", NOSPLIT, "func(rows int, values *float32, offsets *uint32, counts *uint32, b *float32, c *float32, cs int, overwrite bool, bias *float32)")
	Pragma("noescape")
	Doc("sparse512 adds the products of listed rows with a panel to 128 columns of C, or overwrites them, and adds the bias if there is one.")
	rows, values, offsets, counts := Load(Param("rows"), GP64()), pointer("values"), pointer("offsets"), pointer("counts")
	b, c, cs, bias := pointer("b"), pointer("c"), Load(Param("cs"), GP64()), pointer("bias")
	i, n, at := GP64(), GP64(), GP64()
	acc := make([]VecVirtual, sparseVectors)
	for v := range acc {
		acc[v] = ZMM()
	}
	Label("row")
	for _, v := range acc {
		VPXORD(v, v, v)
	}
	MOVL(Mem{Base: counts}, n.As32())
	TESTQ(n, n)
	JZ(LabelRef("finish"))
	x := ZMM()
	XORQ(i, i)
	Label("number")
	MOVL(Mem{Base: offsets, Index: i, Scale: 4}, at.As32())
	VBROADCASTSS(Mem{Base: values, Index: i, Scale: 4}, x)
	ADDQ(b, at)
	for v := range acc {
		VFMADD231PS(Mem{Base: at, Disp: 64 * v}, x, acc[v])
	}
	INCQ(i)
	CMPQ(i, n)
	JB(LabelRef("number"))
	Label("finish")
	CMPB(address(Param("overwrite")), U8(0))
	JNE(LabelRef("biased"))
	for v := range acc {
		VADDPS(Mem{Base: c, Disp: 64 * v}, acc[v], acc[v])
	}
	Label("biased")
	TESTQ(bias, bias)
	JZ(LabelRef("store"))
	for v := range acc {
		VADDPS(Mem{Base: bias, Disp: 64 * v}, acc[v], acc[v])
	}
	Label("store")
	for v := range acc {
		VMOVUPS(acc[v], Mem{Base: c, Disp: 64 * v})
	}
	ADDQ(cs, c)
	ADDQ(U8(4), counts)
	ADDQ(U32(4*64), values)
	ADDQ(U32(4*64), offsets)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// copyPanel packs rows of 128 columns.
func copyPanel() {
	TEXT("copyPanel512", NOSPLIT, "func(rows int, dst, b *float32, bs int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("copyPanel512 copies rows of %d numbers, bs bytes apart, to where they follow one another.", 16*sparseVectors))
	rows, dst, b, bs := Load(Param("rows"), GP64()), pointer("dst"), pointer("b"), Load(Param("bs"), GP64())
	Label("row")
	for v := range sparseVectors {
		t := ZMM()
		VMOVUPS(Mem{Base: b, Disp: 64 * v}, t)
		VMOVUPS(t, Mem{Base: dst, Disp: 64 * v})
	}
	ADDQ(bs, b)
	ADDQ(U32(sparseRow), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
