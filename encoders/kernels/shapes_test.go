package kernels

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var whole = flag.Bool("whole", false, "multiply every shape from 1 to 70 in each dimension instead of a sample")

// levels returns every level that this machine can run.
func levels() []level {
	switch detect() {
	case avx512:
		return []level{plain, avx2, avx512}
	case avx2:
		return []level{plain, avx2}
	case neon:
		return []level{plain, neon}
	}
	return []level{plain}
}

// using runs f with the instructions of l.
func using(l level, f func()) {
	defer func(before level) { active = before }(active)
	active = l
	f()
}

func random(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// product is one call of Sgemm.
type product struct {
	ta, tb        blas.Transpose
	m, n, k       int
	lda, ldb, ldc int
	alpha, beta   float32
	a, b, c       []float32
}

// shaped fills in matrices of normal numbers with gap unused numbers a row.
func shaped(r *rand.Rand, p product, gap int) product {
	stride := func(t blas.Transpose, rows, columns int) (int, []float32) {
		if t == blas.Trans {
			rows, columns = columns, rows
		}
		return columns + gap, random(r, rows*(columns+gap))
	}
	p.lda, p.a = stride(p.ta, p.m, p.k)
	p.ldb, p.b = stride(p.tb, p.k, p.n)
	p.ldc, p.c = stride(blas.NoTrans, p.m, p.n)
	return p
}

func (p product) with(l level) []float32 {
	c := append([]float32(nil), p.c...)
	using(l, func() {
		Float32{}.Sgemm(p.ta, p.tb, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
	})
	return c
}

func (p product) String() string {
	return fmt.Sprintf("%c%c %dx%dx%d strides %d %d %d alpha %v beta %v", p.ta, p.tb, p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.alpha, p.beta)
}

// near reports whether got is want but for the rounding of k products.
func (p product) near(got, want []float32) error {
	for i, w := range want {
		g := got[i]
		if math.Float32bits(g) == math.Float32bits(w) || g != g && w != w {
			continue
		}
		if d := math.Abs(float64(g) - float64(w)); !(d <= 2e-6*float64(p.k+8)) {
			return fmt.Errorf("%v: element %d is %v, want %v", p, i, g, w)
		}
	}
	return nil
}

func TestProductShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []int{1, 2, 3, 5, 7, 8, 11, 12, 13, 16, 17, 24, 31, 32, 33, 47, 64, 70}
	if *whole {
		sizes = nil
		for i := 1; i <= 70; i++ {
			sizes = append(sizes, i)
		}
	}
	transposes := []blas.Transpose{blas.NoTrans, blas.Trans}
	factors := []float32{0, 1, -0.5}
	count := 0
	for _, m := range sizes {
		for _, n := range sizes {
			for _, k := range sizes {
				count++
				p := shaped(r, product{m: m, n: n, k: k,
					ta: transposes[count%2], tb: transposes[count/2%2],
					alpha: factors[1+count/3%2], beta: factors[count%3]}, count%4)
				want := p.with(plain)
				for _, l := range levels()[1:] {
					if err := p.near(p.with(l), want); err != nil {
						t.Fatalf("%s: %v", names[l], err)
					}
				}
			}
		}
	}
}

// Plain Go against gonum, and deep products that need several blocks of k.
func TestProductAgainstGonum(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, size := range [][3]int{{1, 1, 1}, {5, 40, 9}, {13, 33, 511}, {100, 70, 513}, {3, 17, 1500}, {300, 65, 128}} {
		for _, ta := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			for _, tb := range []blas.Transpose{blas.NoTrans, blas.Trans} {
				for _, beta := range []float32{0, 1, 0.25} {
					for _, alpha := range []float32{1, 0, 1.5} {
						p := shaped(r, product{m: size[0], n: size[1], k: size[2], ta: ta, tb: tb, alpha: alpha, beta: beta}, 3)
						want := append([]float32(nil), p.c...)
						gonum.Implementation{}.Sgemm(ta, tb, p.m, p.n, p.k, alpha, p.a, p.lda, p.b, p.ldb, beta, want, p.ldc)
						for _, l := range levels() {
							if err := p.near(p.with(l), want); err != nil {
								t.Fatalf("%s: %v", names[l], err)
							}
						}
					}
				}
			}
		}
	}
}

func bitsEqual(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// A row has the same bits alone and among others, in every position.
func TestRowsDoNotDependOnTheBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, l := range levels() {
		for _, ta := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			for _, k := range []int{7, 128, 700} {
				p := shaped(r, product{m: 270, n: 75, k: k, ta: ta, tb: blas.NoTrans, alpha: 1, beta: 1}, 0)
				all := p.with(l)
				for first := 0; first < p.m; first += 3 {
					for _, rows := range []int{1, 5, 14} {
						if first+rows > p.m {
							continue
						}
						part := p
						part.m = rows
						if ta == blas.Trans {
							part.a = p.a[first:]
						} else {
							part.a = p.a[first*p.lda:]
						}
						part.c = p.c[first*p.ldc : (first+rows)*p.ldc]
						if !bitsEqual(part.with(l), all[first*p.ldc:(first+rows)*p.ldc]) {
							t.Fatalf("%s: rows %d..%d of %v differ from those of the whole", names[l], first, first+rows, p)
						}
					}
				}
			}
		}
	}
}

// A column has the same bits beside any others.
func TestColumnsDoNotDependOnTheirPanel(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, l := range levels() {
		p := shaped(r, product{m: 29, n: 90, k: 600, ta: blas.NoTrans, tb: blas.NoTrans, alpha: 0.5, beta: 0}, 0)
		all := p.with(l)
		for first := range p.n {
			part := p
			part.n, part.b, part.c = p.n-first, p.b[first:], p.c[first:]
			got := part.with(l)
			for i := range p.m {
				if !bitsEqual(got[i*p.ldc:i*p.ldc+part.n], all[i*p.ldc+first:i*p.ldc+p.n]) {
					t.Fatalf("%s: columns from %d differ", names[l], first)
				}
			}
		}
	}
}

func TestVectorLevelsAgreeToTheBit(t *testing.T) {
	if len(levels()) < 3 {
		t.Log("this machine has no two vector levels to compare")
		return
	}
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 40 {
		p := shaped(r, product{m: 1 + r.IntN(99), n: 1 + r.IntN(99), k: 1 + r.IntN(1200), ta: blas.Trans, tb: blas.Trans, alpha: 1.25, beta: float32(i % 3)}, i%3)
		if !bitsEqual(p.with(avx2), p.with(avx512)) {
			t.Fatalf("AVX2 and AVX-512 differ for %v", p)
		}
	}
}

// Numbers that are not normal must arrive, and memory outside C must stay.
func TestProductOfSpecialNumbers(t *testing.T) {
	nan, inf, tiny := float32(math.NaN()), float32(math.Inf(1)), math.Float32frombits(3)
	r := rand.New(rand.NewPCG(6, 6))
	for _, l := range levels() {
		p := shaped(r, product{m: 14, n: 35, k: 20, ta: blas.NoTrans, tb: blas.NoTrans, alpha: 1, beta: 0}, 5)
		for i := range p.c {
			p.c[i] = nan // never read
		}
		p.a[3*p.lda+4] = nan
		p.b[7*p.ldb+34] = inf
		p.a[5*p.lda+7] = 0 // 0 · Inf
		got := p.with(l)
		for i := range p.m {
			for j := range p.ldc {
				if i == p.m-1 && j >= p.n {
					break
				}
				v := got[i*p.ldc+j]
				if want := i == 3 || i == 5 && j == 34 || j >= p.n; (v != v) != want {
					t.Fatalf("%s: element %d,%d is %v", names[l], i, j, v)
				}
				if j == 34 && i != 3 && i != 5 && !math.IsInf(float64(v), 0) {
					t.Fatalf("%s: element %d,%d is %v, want an infinity", names[l], i, j, v)
				}
			}
		}

		p = product{ta: blas.NoTrans, tb: blas.NoTrans, m: 1, n: 33, k: 1, lda: 1, ldb: 33, ldc: 33, alpha: 1, beta: 1,
			a: []float32{1}, b: make([]float32, 33), c: make([]float32, 33)}
		for i := range p.b {
			p.b[i], p.c[i] = tiny, tiny
		}
		for i, v := range p.with(l) {
			if v != 2*tiny {
				t.Fatalf("%s: subnormal %d is %v, want %v", names[l], i, v, 2*tiny)
			}
		}
		p.alpha, p.a[0] = 0, nan
		if got := p.with(l); !bitsEqual(got, p.c) {
			t.Fatalf("%s: alpha 0 gives %v", names[l], got)
		}
	}
}

func TestProductOfNothing(t *testing.T) {
	c := []float32{1, 2}
	Float32{}.Sgemm(blas.NoTrans, blas.NoTrans, 1, 2, 0, 1, nil, 1, nil, 2, 3, c, 2)
	if c[0] != 3 || c[1] != 6 {
		t.Errorf("k 0 and beta 3 give %v", c)
	}
	Float32{}.Sgemm(blas.NoTrans, blas.NoTrans, 0, 2, 1, 1, nil, 1, c, 2, 3, nil, 2)
	defer func() {
		if recover() == nil {
			t.Error("a matrix that is too short was accepted")
		}
	}()
	Float32{}.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, c, 2, c, 2, 0, c, 2)
}

func TestProductDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	p := shaped(r, product{m: 40, n: 40, k: 40, ta: blas.NoTrans, tb: blas.Trans, alpha: 1, beta: 0}, 0)
	n := testing.AllocsPerRun(100, func() {
		Float32{}.Sgemm(p.ta, p.tb, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
	})
	if n > 0.1 {
		t.Errorf("%v allocations a product", n)
	}
}
