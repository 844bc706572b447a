package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// lengths cover no vector, whole vectors and every kind of rest.
var lengths = []int{0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200, 1000}

func copied(s []float32) []float32 { return append([]float32(nil), s...) }

// special sprinkles infinities, NaN and subnormal numbers over s.
func special(r *rand.Rand, s []float32) []float32 {
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-42, math.MaxFloat32}
	for i := range s {
		if r.IntN(5) == 0 {
			s[i] = odd[r.IntN(len(odd))]
		}
	}
	return s
}

// same is equality to the bit, but for the payload of NaN and the sign of zero.
func same(a, b []float32) error {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]) && a[i] != b[i] {
			return fmt.Errorf("element %d: %v (%x) and %v (%x)", i, a[i], math.Float32bits(a[i]), b[i], math.Float32bits(b[i]))
		}
	}
	return nil
}

func TestExactPassesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range lengths {
		y, x := special(r, random(r, n)), special(r, random(r, n))
		w, g, m, v := random(r, n), random(r, n), random(r, n), random(r, n)
		for i := range v {
			v[i] *= v[i]
		}
		passes := map[string]func() []float32{
			"Add":       func() []float32 { d := copied(y); Add(d, x); return d },
			"AddScaled": func() []float32 { d := copied(y); AddScaled(d, .3, x); return d },
			"Squares":   func() []float32 { d := copied(y); Squares(d, x); return d },
			"Distances": func() []float32 { d := copied(y); Distances(d, x, .3); return d },
			"Scale":     func() []float32 { d := copied(y); Scale(d, 1.7); return d },
			"ReLU":      func() []float32 { d := copied(y); ReLU(d, x); return d },
			"ReLUBack":  func() []float32 { d := copied(y); ReLUBack(d, x); return d },
			"AddRows":   func() []float32 { d := append(copied(y), y...); AddRows(d, x); return d },
			"SumRows":   func() []float32 { d := copied(y); SumRows(d, append(copied(x), y...)); return d },
			"Dropout":   func() []float32 { d := copied(x); Dropout(d, .1, 0x123456789abcdef); return d },
			"AdamW": func() []float32 {
				w, m, v := copied(w), copied(m), copied(v)
				AdamW(w, g, m, v, 1e-3, .999999, 1.5)
				return append(append(w, m...), v...)
			},
		}
		for name, pass := range passes {
			if n == 0 && (name == "AddRows" || name == "SumRows") {
				continue
			}
			var want []float32
			using(plain, func() { want = pass() })
			for _, l := range levels()[1:] {
				using(l, func() {
					if err := same(pass(), want); err != nil {
						t.Errorf("%s of %d with %s: %v", name, n, names[l], err)
					}
				})
			}
		}
	}
}

func TestMatern(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, l := range levels() {
		using(l, func() {
			for _, n := range lengths {
				y, x := make([]float32, n), random(r, n)
				for i := range x {
					x[i] *= 40 * x[i]
				}
				AddMatern(y, x, 3, 1)
				for i, d := range x {
					s := math.Sqrt(float64(3 * d))
					if want := (1 + s) * math.Exp(-s); ulps(y[i], want) > 4+s {
						t.Fatalf("%s of %d: the kernel at %v is %v, want %v", names[l], n, d, y[i], want)
					}
				}
				AddMatern(y, x, 3, -1)
				for i := range y {
					if y[i] != 0 {
						t.Fatalf("%s of %d: %v is left at %v", names[l], n, y[i], x[i])
					}
				}
			}
		})
	}
}

// ulps is the distance of got from the exact want in units of the last place.
func ulps(got float32, want float64) float64 {
	unit := math.Abs(float64(math.Nextafter32(float32(want), float32(math.Inf(1)))) - float64(float32(want)))
	return math.Abs(float64(got)-want) / unit
}

func TestExpAndSigmoid(t *testing.T) {
	var x []float32
	for v := float32(-88); v <= 88; v += 0.0037 {
		x = append(x, v)
	}
	x = append(x, make([]float32, 32-len(x)%16)...)
	y := make([]float32, len(x))
	for _, l := range levels() {
		using(l, func() {
			worst := 0.
			Exp(y, x)
			for i, v := range x {
				if v >= -86 {
					worst = max(worst, ulps(y[i], math.Exp(float64(v))))
				}
			}
			if worst > 2 {
				t.Errorf("%s: exp is off by %.2f units", names[l], worst)
			}
			t.Logf("%s: exp within %.2f units", names[l], worst)
			worst = 0
			Sigmoid(y, x)
			for i, v := range x {
				if v > -87 { // below, the value is subnormal
					worst = max(worst, ulps(y[i], 1/(1+math.Exp(-float64(v)))))
				}
			}
			if worst > 3 {
				t.Errorf("%s: sigmoid is off by %.2f units", names[l], worst)
			}
			t.Logf("%s: sigmoid within %.2f units", names[l], worst)

			odd := make([]float32, 16)
			odd[0], odd[1], odd[2] = float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
			s, e := make([]float32, 16), make([]float32, 16)
			Sigmoid(s, odd)
			Exp(e, odd)
			if s[0] == s[0] || s[1] != 1 || !(s[2] < 1e-38) || s[3] != .5 {
				t.Errorf("%s: sigmoid of NaN, Inf, -Inf, 0 is %v", names[l], s[:4])
			}
			if e[0] == e[0] || !(e[1] > 1e38) || !(e[2] < 1e-37) || e[3] != 1 {
				t.Errorf("%s: exp of NaN, Inf, -Inf, 0 is %v", names[l], e[:4])
			}
		})
	}
}

func TestDot(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range lengths {
		x, y := random(r, n), random(r, n)
		want := 0.
		for i := range x {
			want += float64(x[i]) * float64(y[i])
		}
		var got []float32
		for _, l := range levels() {
			using(l, func() { got = append(got, Dot(x, y)) })
			if d := math.Abs(float64(got[len(got)-1]) - want); d > 1e-6*float64(n+1) {
				t.Errorf("%s: dot of %d numbers is %v, want %v", names[l], n, got[len(got)-1], want)
			}
		}
		if len(got) == 3 && got[1] != got[2] {
			t.Errorf("dot of %d numbers: AVX2 %v, AVX-512 %v", n, got[1], got[2])
		}
	}
}

func TestDropoutKeepsShareAndMean(t *testing.T) {
	x := make([]float32, 1<<17)
	for _, p := range []float32{.1, .5} {
		for i := range x {
			x[i] = 1
		}
		Dropout(x, p, 77)
		zeros, sum := 0, 0.
		for _, v := range x {
			if v == 0 {
				zeros++
			}
			sum += float64(v)
		}
		n := float64(len(x))
		sd := math.Sqrt(float64(p*(1-p)) / n)
		if d := math.Abs(float64(zeros)/n - float64(p)); d > 4*sd {
			t.Errorf("p %v: a share of %v is cleared", p, float64(zeros)/n)
		}
		if d := math.Abs(sum/n - 1); d > 8*sd {
			t.Errorf("p %v: mean %v", p, sum/n)
		}
	}
	a, b := make([]float32, 64), make([]float32, 64)
	for i := range a {
		a[i], b[i] = 1, 1
	}
	Dropout(a, .5, 1)
	Dropout(b, .5, 2)
	if bitsEqual(a, b) {
		t.Error("two seeds clear the same numbers")
	}
}

// layer is a random input of Gated and GatedBack.
type layer struct {
	width int
	self  int32
	near  []int32
	y, x0 []float32
	dx    []float32
}

func randomLayer(r *rand.Rand, width, rows, neighbours int) layer {
	l := layer{width: width, self: int32(r.IntN(rows)), y: random(r, rows*4*width), x0: random(r, width), dx: random(r, width)}
	for range neighbours {
		l.near = append(l.near, int32(r.IntN(rows))) // also twice, also self
	}
	return l
}

func (l layer) forward(keep bool) (x, gates []float32) {
	x = make([]float32, l.width)
	if keep {
		gates = make([]float32, len(l.near)*l.width)
	}
	Gated(x, gates, l.x0, l.y, l.self, l.near)
	return x, gates
}

func (l layer) backward(x, gates []float32, scale float32) (dy, dx0 []float32) {
	dy, dx0 = make([]float32, len(l.y)), make([]float32, l.width)
	GatedBack(dy, dx0, l.dx, x, gates, l.y, l.self, l.near, scale)
	return dy, dx0
}

func near(a, b []float32, tolerance float64) error {
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); !(d <= tolerance*(1+math.Abs(float64(b[i])))) {
			return fmt.Errorf("element %d is %v, want %v", i, a[i], b[i])
		}
	}
	return nil
}

func TestGated(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, width := range []int{1, 8, 16, 24, 31, 128, 130} {
		for _, neighbours := range []int{0, 1, 3, 9} {
			l := randomLayer(r, width, 6, neighbours)
			var x, gates, dy, dx0 []float32
			using(plain, func() {
				x, gates = l.forward(true)
				dy, dx0 = l.backward(x, gates, 1.25)
			})
			for _, v := range levels()[1:] {
				using(v, func() {
					gx, ggates := l.forward(true)
					gdy, gdx0 := l.backward(x, gates, 1.25)
					for _, err := range []error{near(gx, x, 1e-5), near(ggates, gates, 1e-6), near(gdy, dy, 1e-5), near(gdx0, dx0, 1e-6)} {
						if err != nil {
							t.Errorf("%s, width %d, %d neighbours: %v", names[v], width, neighbours, err)
						}
					}
					if unkept, _ := l.forward(false); !bitsEqual(unkept, gx) {
						t.Errorf("%s: other bits when the gates are not kept", names[v])
					}
				})
			}
			if len(levels()) == 3 && width%16 == 0 {
				var a, b []float32
				using(avx2, func() { a, _ = l.forward(false) })
				using(avx512, func() { b, _ = l.forward(false) })
				if !bitsEqual(a, b) {
					t.Errorf("width %d: AVX2 and AVX-512 differ", width)
				}
			}
		}
	}
}

// The gradient of Σ dx·x is that of finite differences, in plain Go in which
// the vectors are checked above.
func TestGatedBackAgainstDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	l := randomLayer(r, 5, 4, 3)
	using(plain, func() {
		loss := func() float64 {
			x, _ := l.forward(false)
			sum := 0.
			for i := range x {
				sum += float64(l.dx[i]) * float64(x[i])
			}
			return sum
		}
		x, gates := l.forward(true)
		dy, dx0 := l.backward(x, gates, 1)
		check := func(what string, at, gradient []float32) {
			const h = 1e-2
			for i := range at {
				v := at[i]
				at[i] = v + h
				up := loss()
				at[i] = v - h
				down := loss()
				at[i] = v
				if d := (up - down) / (2 * h); math.Abs(d-float64(gradient[i])) > 2e-3 {
					t.Errorf("%s %d: gradient %v, differences %v", what, i, gradient[i], d)
				}
			}
		}
		check("y", l.y, dy)
		check("x0", l.x0, dx0)
	})
}

func BenchmarkGated(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 5))
	l := randomLayer(r, 128, 8, 3)
	x, gates := l.forward(true)
	dy, dx0 := l.backward(x, gates, 1)
	b.Run("forward", func(b *testing.B) {
		for b.Loop() {
			Gated(x, gates, l.x0, l.y, l.self, l.near)
		}
	})
	b.Run("backward", func(b *testing.B) {
		for b.Loop() {
			GatedBack(dy, dx0, l.dx, x, gates, l.y, l.self, l.near, 1)
		}
	})
}

func BenchmarkPasses(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 6))
	const n = 1 << 13
	w, g, m, v := random(r, n), random(r, n), random(r, n), make([]float32, n)
	for name, pass := range map[string]func(){
		"Add":     func() { Add(m, g) },
		"Sigmoid": func() { Sigmoid(m, g) },
		"AdamW":   func() { AdamW(w, g, m, v, 1e-3, 1, 1) },
		"Dropout": func() { Dropout(m, .1, 1) },
		"Dot":     func() { Dot(g, w) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				pass()
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds()/1e9, "numbers/ns")
		})
	}
}

func TestFlowState(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, k := range []int{1, 7, 8, 12, 40} {
		width := (k + 7) &^ 7
		message, row, weights := random(r, width), random(r, width), random(r, k*width)
		message[0] = 50
		var want []float32
		for _, l := range levels() {
			using(l, func() {
				state := copied(message)
				FlowState(state, row, weights, make([]float32, width), .5, 10)
				if l == plain {
					want = state
				} else if err := near(state, want, 1e-5); err != nil {
					t.Errorf("%s, k %d: %v", names[l], k, err)
				}
			})
		}
	}
}
