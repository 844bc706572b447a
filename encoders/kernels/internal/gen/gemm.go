package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A gemm function computes a panel of C, rows x columns, where columns is the
// width of its tile:
//
//	C[i, :] = alpha · Σ_k A(i, k) · B(k, :) + beta · C[i, :]
//
// A(i, k) is at a + i·rs + k·ks bytes, B(k, :) at b + k·bs, C[i, :] at c + i·cs. Every
// element is one chain of fused multiply-adds over ascending k, in any tile, so that a
// row's bits do not depend on its neighbours.
const gemmSignature = "func(rows, k int, a *float32, rs, ks int, b *float32, bs int, c *float32, cs int, alpha, beta float32, overwrite bool, mask %s)"

// rowPointers walk down the rows of A, three to a register: rows i, i+1 and
// i+2 of one are reached with the stride as index, scaled by 0, 1 and 2.
type rowPointers struct {
	at     []Register
	stride Register
}

func (p rowPointers) row(i int) Mem {
	m := Mem{Base: p.at[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = p.stride, uint8(i%3)
	}
	return m
}

// load points at the first rows of a tile.
func (p rowPointers) load(a Register, rows int) {
	for i := 0; i*3 < rows; i++ {
		if i == 0 {
			MOVQ(a, p.at[0])
			continue
		}
		LEAQ(Mem{Base: p.at[i-1], Index: p.stride, Scale: 2}, p.at[i])
		ADDQ(p.stride, p.at[i])
	}
}

// gemmRegisters are the general registers that both kernels use alike.
type gemmRegisters struct {
	rows, a, b, bRun, bs, c, cs, ks, count Register
	rowPointers
}

func loadGemm(tileRows int) gemmRegisters {
	r := gemmRegisters{
		rows: Load(Param("rows"), GP64()), a: Load(Param("a"), GP64()),
		b: Load(Param("b"), GP64()), bRun: GP64(), bs: Load(Param("bs"), GP64()),
		c: Load(Param("c"), GP64()), cs: Load(Param("cs"), GP64()),
		ks: Load(Param("ks"), GP64()), count: GP64(),
	}
	r.stride = Load(Param("rs"), GP64())
	for i := 0; i*3 < tileRows; i++ {
		r.at = append(r.at, GP64())
	}
	return r
}

// blocks emits a loop over the rows: tiles of sizes[0] while they last, then
// one of each smaller size that still fits. tile must advance a and c.
func (r gemmRegisters) blocks(sizes []int, tile func(rows int)) {
	for n, size := range sizes {
		Label(fmt.Sprintf("rows%d", size))
		CMPQ(r.rows, U8(size))
		next := "done"
		if n+1 < len(sizes) {
			next = fmt.Sprintf("rows%d", sizes[n+1])
		}
		JLT(LabelRef(next))
		tile(size)
		SUBQ(U8(size), r.rows)
		JMP(LabelRef(fmt.Sprintf("rows%d", size)))
	}
	Label("done")
}

// product emits the loop over k of one tile; body multiplies one k.
func (r gemmRegisters) product(rows int, body func()) {
	r.load(r.a, rows)
	MOVQ(r.b, r.bRun)
	Load(Param("k"), r.count)
	loop := fmt.Sprintf("k%d", rows)
	Label(loop)
	body()
	ADDQ(r.bs, r.bRun)
	for i := 0; i*3 < rows; i++ {
		ADDQ(r.ks, r.at[i])
	}
	DECQ(r.count)
	JNZ(LabelRef(loop))
}

// advance moves a past the rows of a tile.
func (r gemmRegisters) advance(rows int) {
	IMUL3Q(U8(rows), r.stride, r.count)
	ADDQ(r.count, r.a)
}

// gemm512 has tiles of 12 x 32: 24 accumulators, two registers of B and four
// that take turns at holding an element of A.
func gemm512() {
	TEXT("gemm512", NOSPLIT, fmt.Sprintf(gemmSignature, "uint32"))
	Pragma("noescape")
	Doc("gemm512 multiplies with AVX-512, 32 columns of C at a time.")
	r := loadGemm(12)
	low, high := K(), K()
	bits := Load(Param("mask"), GP32())
	KMOVW(bits, low)
	SHRL(U8(16), bits)
	KMOVW(bits, high)
	masks := []Register{low, high}

	b := []VecVirtual{ZMM(), ZMM()}
	a := []VecVirtual{ZMM(), ZMM(), ZMM(), ZMM()}
	acc := make([][]VecVirtual, 12)
	for i := range acc {
		acc[i] = []VecVirtual{ZMM(), ZMM()}
	}
	r.blocks([]int{12, 8, 4, 2, 1}, func(rows int) {
		for i := range rows {
			for j := range b {
				VPXORD(acc[i][j], acc[i][j], acc[i][j])
			}
		}
		r.product(rows, func() {
			for j := range b {
				VMOVUPS(Mem{Base: r.bRun, Disp: 64 * j}, b[j])
			}
			for i := range rows {
				VBROADCASTSS(r.row(i), a[i%4])
				for j := range b {
					VFMADD231PS(b[j], a[i%4], acc[i][j])
				}
			}
		})
		r.advance(rows)
		alpha, beta := a[0], a[1]
		VBROADCASTSS(address(Param("alpha")), alpha)
		VBROADCASTSS(address(Param("beta")), beta)
		for i := range rows {
			for j := range b {
				VMULPS(alpha, acc[i][j], acc[i][j])
			}
		}
		store := fmt.Sprintf("store%d", rows)
		end := fmt.Sprintf("end%d", rows)
		CMPB(address(Param("overwrite")), U8(0))
		JNE(LabelRef(store))
		for i := range rows {
			for j := range b {
				VMOVUPS_Z(Mem{Base: r.c, Disp: 64 * j}, masks[j], b[j])
				VFMADD231PS(beta, b[j], acc[i][j])
				VMOVUPS(acc[i][j], masks[j], Mem{Base: r.c, Disp: 64 * j})
			}
			ADDQ(r.cs, r.c)
		}
		JMP(LabelRef(end))
		Label(store)
		for i := range rows {
			for j := range b {
				VMOVUPS(acc[i][j], masks[j], Mem{Base: r.c, Disp: 64 * j})
			}
			ADDQ(r.cs, r.c)
		}
		Label(end)
	})
	VZEROUPPER()
	RET()
}

// gemm256 has tiles of 6 x 16: 12 accumulators, two registers of B and two of A.
func gemm256() {
	TEXT("gemm256", NOSPLIT, fmt.Sprintf(gemmSignature, "*int32"))
	Pragma("noescape")
	Doc("gemm256 multiplies with AVX2 and FMA, 16 columns of C at a time. mask points at 16 numbers, -1 where a column is stored.")
	r := loadGemm(6)
	b := []VecVirtual{YMM(), YMM()}
	a := []VecVirtual{YMM(), YMM()}
	acc := make([][]VecVirtual, 6)
	for i := range acc {
		acc[i] = []VecVirtual{YMM(), YMM()}
	}
	mask := GP64()
	r.blocks([]int{6, 4, 2, 1}, func(rows int) {
		for i := range rows {
			for j := range b {
				VXORPS(acc[i][j], acc[i][j], acc[i][j])
			}
		}
		r.product(rows, func() {
			for j := range b {
				VMOVUPS(Mem{Base: r.bRun, Disp: 32 * j}, b[j])
			}
			for i := range rows {
				VBROADCASTSS(r.row(i), a[i%2])
				for j := range b {
					VFMADD231PS(b[j], a[i%2], acc[i][j])
				}
			}
		})
		r.advance(rows)
		VBROADCASTSS(address(Param("alpha")), a[0])
		for i := range rows {
			for j := range b {
				VMULPS(a[0], acc[i][j], acc[i][j])
			}
		}
		Load(Param("mask"), mask)
		for j := range b {
			VMOVUPS(Mem{Base: mask, Disp: 32 * j}, b[j])
		}
		store := fmt.Sprintf("store%d", rows)
		end := fmt.Sprintf("end%d", rows)
		CMPB(address(Param("overwrite")), U8(0))
		JNE(LabelRef(store))
		VBROADCASTSS(address(Param("beta")), a[0])
		for i := range rows {
			for j := range b {
				VMASKMOVPS(Mem{Base: r.c, Disp: 32 * j}, b[j], a[1])
				VFMADD231PS(a[0], a[1], acc[i][j])
				VMASKMOVPS(acc[i][j], b[j], Mem{Base: r.c, Disp: 32 * j})
			}
			ADDQ(r.cs, r.c)
		}
		JMP(LabelRef(end))
		Label(store)
		for i := range rows {
			for j := range b {
				VMASKMOVPS(acc[i][j], b[j], Mem{Base: r.c, Disp: 32 * j})
			}
			ADDQ(r.cs, r.c)
		}
		Label(end)
	})
	VZEROUPPER()
	RET()
}

// peak512 and peak256 do nothing but multiply and add in registers.
func peak512() { peak("peak512", ZMM, 24) }
func peak256() { peak("peak256", YMM, 12) }

func peak(name string, register func() VecVirtual, chains int) {
	TEXT(name, NOSPLIT, "func(n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs n rounds of %d independent vector multiply-adds.", name, chains))
	n := Load(Param("n"), GP64())
	x := register()
	VXORPS(x.AsX(), x.AsX(), x.AsX())
	acc := make([]VecVirtual, chains)
	for i := range acc {
		acc[i] = register()
		VXORPS(acc[i].AsX(), acc[i].AsX(), acc[i].AsX())
	}
	Label("loop")
	for _, v := range acc {
		VFMADD231PS(x, x, v)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
