package ops

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestProjectionFindsTheAxes draws vectors with spread 5 and 2 along two known
// directions and little noise, and looks for these spreads on the map.
func TestProjectionFindsTheAxes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const width, n = 40, 300
	axes := [2][]float64{make([]float64, width), make([]float64, width)}
	for a := range axes {
		for j := range axes[a] {
			axes[a][j] = random.NormFloat64()
		}
	}
	orthonormal(axes)
	p := NewProjection(n, 3)
	at := make([][2]float64, n)
	for i := range at {
		at[i] = [2]float64{5 * random.NormFloat64(), 2 * random.NormFloat64()}
		v := make([]float32, width)
		for j := range v {
			v[j] = float32(3 + at[i][0]*axes[0][j] + at[i][1]*axes[1][j] + .01*random.NormFloat64())
		}
		p.Add(v, float32(i))
	}
	points, seen := p.Points()
	if seen != n || len(points) != n {
		t.Fatalf("%d points of %d", len(points), seen)
	}
	for a := range 2 {
		var xy, xx, yy, mx, my float64
		for i := range points {
			mx += float64(points[i][a]) / n
			my += at[i][a] / n
		}
		for i := range points {
			x, y := float64(points[i][a])-mx, at[i][a]-my
			xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
		}
		if r := math.Abs(xy / math.Sqrt(xx*yy)); r < .99 {
			t.Errorf("component %d correlates %.3f with its direction", a+1, r)
		}
	}
	again, _ := p.Points()
	for i := range points {
		if math.Abs(float64(again[i][0]-points[i][0])) > .02 {
			t.Fatalf("the picture jumps: %v, then %v", points[i], again[i])
		}
	}
}

func TestProjectionIsAFairSample(t *testing.T) {
	p := NewProjection(200, 7)
	for i := range 20000 {
		p.Add([]float32{float32(i), 1}, float32(i))
	}
	p.Add([]float32{1}, 0)
	p.Add([]float32{float32(math.NaN()), 1}, 0)
	points, seen := p.Points()
	if len(points) != 200 || seen < 20000 || seen > 20001 {
		t.Fatalf("%d points of %d", len(points), seen)
	}
	mean := 0.0
	for _, q := range points {
		mean += float64(q[2]) / 200
		if math.IsNaN(float64(q[0])) || math.IsNaN(float64(q[1])) {
			t.Fatalf("point %v", q)
		}
	}
	if mean < 8500 || mean > 11500 { // five standard errors are 2041
		t.Errorf("mean of the sample %.0f, want about 10,000", mean)
	}
}

func TestProjectionOfEqualVectors(t *testing.T) {
	p := NewProjection(10, 1)
	if points, _ := p.Points(); len(points) != 0 {
		t.Errorf("%v before the first vector", points)
	}
	for range 5 {
		p.Add([]float32{1, 2, 3}, 0)
	}
	for i := range 2 {
		points, _ := p.Points()
		for _, q := range points {
			if q != (MapPoint{0, 0, 0}) {
				t.Errorf("time %d: %v", i, q)
			}
		}
	}
}

func BenchmarkProjectionAdd(b *testing.B) {
	p := NewProjection(512, 1)
	v := make([]float32, 240)
	for b.Loop() {
		p.Add(v, 0)
	}
}

func BenchmarkProjectionPoints(b *testing.B) {
	p := NewProjection(512, 1)
	random := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, 240)
	for range 512 {
		for j := range v {
			v[j] = random.Float32()
		}
		p.Add(v, 0)
	}
	for b.Loop() {
		p.Points()
	}
}
