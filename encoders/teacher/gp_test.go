package teacher

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// points returns n random points of some width and a smooth function of them.
func points(n, width int) (x []float32, z []float64) {
	rng := rand.New(rand.NewPCG(11, 0))
	for range n {
		s := 0.0
		for j := range width {
			v := rng.NormFloat64()
			x = append(x, float32(v))
			s += math.Sin(v) / float64(j+1)
		}
		z = append(z, s+0.05*rng.NormFloat64())
	}
	standardise(z)
	return x, z
}

// linear returns the inner products of points [rows, width] with the first n, from
// the mean of those, over the mean of the n's own.
func linear(x []float32, width, n int) func(i, j int) float64 {
	centre, spread := make([]float64, width), 0.0
	for i := range n * width {
		centre[i%width] += float64(x[i]) / float64(n)
	}
	product := func(i, j int) float64 {
		s := 0.0
		for c, m := range centre {
			s += (float64(x[i*width+c]) - m) * (float64(x[j*width+c]) - m)
		}
		return s
	}
	for i := range n {
		spread += product(i, i) / float64(n)
	}
	return func(i, j int) float64 { return product(i, j) / spread }
}

// direct returns the kernel of points x with noise, of scale 1, for one length.
func direct(x []float32, n int, median, length, noise float64) *mat.SymDense {
	k := mat.NewSymDense(n, nil)
	width := len(x) / n
	d, plane := distances(x, width), linear(x, width, n)
	for i := range n {
		for j := i; j < n; j++ {
			v := matern(d[i*n+j]/(median*length*length)) + slope*plane(i, j) + constant
			if i == j {
				v += noise
			}
			k.SetSym(i, j, v)
		}
	}
	return k
}

func TestEvidenceAgainstTheDensityItself(t *testing.T) {
	const n, length, noise = 17, 1.4, 0.03
	x, z := points(n, 3)
	d := distances(x, 3)
	s, err := newSpectra(d, n, &kernel{lengths: []float64{length}, noises: []float64{noise}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.fit(z)
	k := direct(x, n, p.median, length, noise)
	density := func(scale float64) float64 {
		var s mat.SymDense
		s.ScaleSym(scale, k)
		var chol mat.Cholesky
		if !chol.Factorize(&s) {
			t.Fatal("kernel is not positive definite")
		}
		var a mat.VecDense
		v := mat.NewVecDense(n, z)
		if err := chol.SolveVecTo(&a, v); err != nil {
			t.Fatal(err)
		}
		return -0.5*mat.Dot(v, &a) - 0.5*chol.LogDet()
	}
	best := math.Inf(-1)
	for s := -6.0; s < 4; s += 0.001 {
		best = max(best, density(math.Exp(s)))
	}
	if want := best + n/2.0; math.Abs(p.evidence-want) > 1e-4 {
		t.Errorf("evidence %.6f, the density at the best scale gives %.6f", p.evidence, want)
	}
}

func TestLeaveOneOutAgainstRefits(t *testing.T) {
	const n, length, noise = 15, 1.0, 0.1
	x, z := points(n, 2)
	d := distances(x, 2)
	s, err := newSpectra(d, n, &kernel{lengths: []float64{length}, noises: []float64{noise}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.fit(z)
	k := direct(x, n, p.median, length, noise)
	for out := range n {
		rest := mat.NewSymDense(n-1, nil)
		cross, target := mat.NewVecDense(n-1, nil), mat.NewVecDense(n-1, nil)
		at := func(i int) int {
			if i >= out {
				return i + 1
			}
			return i
		}
		for i := range n - 1 {
			for j := i; j < n-1; j++ {
				rest.SetSym(i, j, k.At(at(i), at(j)))
			}
			cross.SetVec(i, k.At(out, at(i)))
			target.SetVec(i, z[at(i)])
		}
		var chol mat.Cholesky
		if !chol.Factorize(rest) {
			t.Fatal("kernel is not positive definite")
		}
		var a mat.VecDense
		if err := chol.SolveVecTo(&a, target); err != nil {
			t.Fatal(err)
		}
		if want := mat.Dot(cross, &a); math.Abs(p.leaveOneOut[out]-want) > 1e-6 {
			t.Errorf("held-out %d is %.9f, a refit without it gives %.9f", out, p.leaveOneOut[out], want)
		}
	}
}

func TestPredictionAgainstTheKernel(t *testing.T) {
	const n, width, seen = 700, 3, 20
	x, z := points(n, width)
	z = z[:seen]
	standardise(z)
	d := distances(x[:seen*width], width)
	p, err := fitProcess(d, z, rough)
	if err != nil {
		t.Fatal(err)
	}
	one := subspace{columns: []column{{0, 0, 1}, {0, 1, 1}, {0, 2, 1}}, rows: all(seen), at: x[:seen*width], process: p}
	got := one.predict([]block{{width: width, values: x}}, all(n))
	plane := linear(x, width, seen)
	for i := range n {
		want := 0.0
		for l, alpha := range p.alpha {
			for j, a := range alpha {
				s := 0.0
				for c := range width {
					e := float64(x[i*width+c] - x[j*width+c])
					s += e * e
				}
				want += a * (matern(s/(p.median*p.lengths[l]*p.lengths[l])) + slope*plane(i, j) + constant)
			}
		}
		if math.Abs(got[i]-want) > 2e-2 {
			t.Fatalf("prediction %d is %.5f, the sum over the kernel %.5f", i, got[i], want)
		}
	}
}

func TestDecayIsExp(t *testing.T) {
	for s := 0.0; s < 45; s += 0.0137 {
		if got, want := decay(s), math.Exp(-s); math.Abs(got-want) > 1e-8*want+1e-17 {
			t.Fatalf("decay(%g) is %g, want %g", s, got, want)
		}
	}
}

func TestBalanceFindsRelevantFeatures(t *testing.T) {
	x, z := points(60, 1)
	rng := rand.New(rand.NewPCG(3, 3))
	noise := make([]float32, 60*4)
	for i := range noise {
		noise[i] = float32(rng.NormFloat64())
	}
	b := balance{d: [][]float64{distances(noise, 4), distances(x, 1)}, z: z, prior: logs([]float64{0.25, 0.25})}
	before := b.score(append(slices.Clone(b.prior), math.Log(0.03)))
	w, _, after := b.search()
	if after < before || w[1] < 4*w[0] {
		t.Errorf("weights %.3g from score %.2f to %.2f; the second block is all that matters", w, before, after)
	}
}

func TestWarpKeepsOrder(t *testing.T) {
	y := []float64{1, 5, 2, 9, 8.5, 3}
	for _, f := range stretches {
		z, _, ok := warp(y, f)
		if !ok || tau(y, z) != 1 {
			t.Errorf("stretch %g: %v from %v", f, z, y)
		}
	}
	if z, _, ok := warp([]float64{2, 2, 2, 1}, 1); !ok || z[0] <= z[3] {
		t.Errorf("labels most of which are at the top became %v", z)
	}
	if _, _, ok := warp([]float64{2, 2, 2}, 1); ok {
		t.Error("constant labels are warped")
	}
	// The Jacobian is the sum of log dz/dy: compare with differences.
	const f, h = 0.7, 1e-6
	raw := func(v float64) float64 { return -math.Log(9 + f*(9-4) - v) }
	z, jacobian, _ := warp(y, f)
	deviation := (raw(9) - raw(1)) / (z[3] - z[0])
	want := 0.0
	for _, v := range y {
		want += math.Log((raw(v+h) - raw(v-h)) / (2 * h) / deviation)
	}
	if math.Abs(jacobian-want) > 1e-6 {
		t.Errorf("Jacobian %.8f, differences give %.8f", jacobian, want)
	}
}

// Errors of a group that is left out are those of a process without its labels.
func TestAGroupLeftOutIsPredictedByTheRest(t *testing.T) {
	const n = 12
	rng := rand.New(rand.NewPCG(3, 4))
	x, z := make([]float32, 2*n), make([]float64, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range z {
		z[i] = float64(x[2*i]) + .3*rng.NormFloat64()
	}
	d := distances(x, 2)
	u, err := newUncertain(d, z, rough)
	if err != nil {
		t.Fatal(err)
	}
	missed := func(group []int) []float64 {
		rest := complement(n, group)
		k, y := mat.NewSymDense(len(rest), nil), mat.NewVecDense(len(rest), pick(z, rest))
		covariance := func(i, j int) float64 {
			return u.kernel.at(d[i*n+j]*u.decay) + u.centre.between(d, i, j) - constant
		}
		for a, i := range rest {
			for b, j := range rest {
				k.SetSym(a, b, covariance(i, j))
			}
			k.SetSym(a, a, k.At(a, a)+u.noise)
		}
		var chol mat.Cholesky
		var alpha mat.VecDense
		if !chol.Factorize(k) || chol.SolveVecTo(&alpha, y) != nil {
			t.Fatal("singular")
		}
		out := make([]float64, len(group))
		for a, i := range group {
			out[a] = z[i]
			for b, j := range rest {
				out[a] -= covariance(i, j) * alpha.AtVec(b)
			}
			out[a] = math.Abs(out[a])
		}
		return out
	}
	unit := 0.
	for i := range n {
		unit += missed([]int{i})[0] / n
	}
	group := []int{1, 4, 5, 9}
	got, want := u.leavingOut(n, all(n), z)(group), missed(group)
	for i := range got {
		if math.Abs(got[i]-want[i]/unit) > 1e-4 {
			t.Errorf("label %d: an error of %.5f, want %.5f", group[i], got[i], want[i]/unit)
		}
	}
	part := u.leavingOut(n+1, all(n), z)([]int{n, 4})
	if part[0] == part[0] || part[1] != u.leavingOut(n, all(n), z)([]int{4})[0] {
		t.Errorf("a label that the process does not have: %v", part)
	}
}
