package micro

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	taskInputs  = 2
	taskClasses = 4
	trainPoints = 1024
	testPoints  = 1000
)

// Task is a classification problem: points of the plane, nearly normal around
// zero, whose class is the quarter of a landscape's heights to which theirs
// belongs. The landscape is a triangle wave along one direction plus a saddle
// between two others, with a little noise: the wave rewards operations that
// fold, the saddle those that multiply, and mixing the two rewards depth.
//
// A Task does not change once made; any number of goroutines may use it.
type Task struct {
	train, test points
}

// points are inputs [taskInputs][n] and their classes [n].
type points struct {
	x     []float64
	class []int
}

// NewTask draws the landscape and the points of a task from seed.
func NewTask(seed uint64) *Task {
	rng := rand.New(rand.NewPCG(seed, 0x7461736b))
	along, saddleA, saddleB := direction(rng), direction(rng), direction(rng)

	const n = trainPoints + testPoints
	x := make([][taskInputs]float64, n)
	height := make([]float64, n)
	for p := range x {
		for i := range x[p] {
			x[p][i] = bell(rng)
		}
		saddle := float64(dot(saddleA, x[p][:]) * dot(saddleB, x[p][:]))
		height[p] = float64(1.5*wave(float64(1.7*dot(along, x[p][:])))) + saddle
		height[p] += float64(0.05 * bell(rng))
	}
	sorted := slices.Clone(height)
	slices.Sort(sorted)
	class := make([]int, n)
	for p, h := range height {
		rank, _ := slices.BinarySearch(sorted, h)
		class[p] = rank * taskClasses / n
	}
	return &Task{newPoints(x[:trainPoints], class), newPoints(x[trainPoints:], class[trainPoints:])}
}

func newPoints(x [][taskInputs]float64, class []int) points {
	p := points{x: make([]float64, taskInputs*len(x)), class: class[:len(x)]}
	for j := range x {
		for i, v := range x[j] {
			p.x[i*len(x)+j] = v
		}
	}
	return p
}

// gather copies the points of the given numbers to x [taskInputs][len(rows)]
// and class.
func (p *points) gather(x []float64, class, rows []int) {
	for j, row := range rows {
		class[j] = p.class[row]
		for i := range taskInputs {
			x[i*len(rows)+j] = p.x[i*len(p.class)+row]
		}
	}
}

// direction returns a vector of length one.
func direction(rng *rand.Rand) []float64 {
	d := make([]float64, taskInputs)
	for i := range d {
		d[i] = bell(rng)
	}
	length := math.Sqrt(dot(d, d))
	for i := range d {
		d[i] /= length
	}
	return d
}

// bell returns a nearly normal number of mean 0 and deviation 1.
func bell(rng *rand.Rand) float64 {
	s := -6.0
	for range 12 {
		s += rng.Float64()
	}
	return s
}

// wave is a triangle wave of period 4 between -1 and 1, rising through 0 at 0.
func wave(x float64) float64 {
	x = x/4 + 0.25
	x -= math.Floor(x)
	return 1 - math.Abs(4*x-2)
}
