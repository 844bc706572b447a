package micro

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTrainingIsRepeatable(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	task := NewTask(1)
	differ := 0
	for range 5 {
		a := Sample(rng)
		first := task.Train(a, 1)
		if again := NewTask(1).Train(a, 1); again != first {
			t.Errorf("%s: %v, then %v from the same seed", a.Arch, first, again)
		}
		if b := renumber(a, rng); task.Train(b, 1) != first {
			t.Errorf("%s: %v, but not when numbered as %s", a.Arch, first, b.Arch)
		}
		if task.Train(a, 2) != first {
			differ++
		}
	}
	if differ == 0 {
		t.Error("another seed changed nothing")
	}
}

func TestClassesAreQuarters(t *testing.T) {
	task := NewTask(3)
	var counts [taskClasses]int
	for _, set := range []points{task.train, task.test} {
		if len(set.x) != taskInputs*len(set.class) {
			t.Fatalf("%d numbers for %d points", len(set.x), len(set.class))
		}
		for _, c := range set.class {
			counts[c]++
		}
	}
	for c, n := range counts {
		if n != (trainPoints+testPoints)/taskClasses {
			t.Errorf("class %d has %d points", c, n)
		}
	}
}

// Six squares in each cell: the 64th power twice over.
func TestDivergenceIsGuessing(t *testing.T) {
	a, err := parse("8|1000000100000100001000100101|333333")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(5) {
		if got := NewTask(seed).Train(a, seed); got < 15 || got > 40 {
			t.Errorf("seed %d: accuracy %v, want about 25", seed, got)
		}
	}
	w := newNetwork(a.cell(), taskInputs, taskClasses, batchSize)
	w.weights[0] = math.NaN()
	copy(w.points, NewTask(1).test.x)
	w.points[0] = 1
	if got := NewTask(1).accuracy(w); got != 25 {
		t.Errorf("accuracy %v with a weight that is no number, want 25", got)
	}
}

func TestExpAgainstTheLibrary(t *testing.T) {
	for x := -650.; x < 650; x += 0.37 {
		if got, want := exp(x), math.Exp(x); math.Abs(got/want-1) > 1e-10 {
			t.Fatalf("exp(%g) = %g, want %g", x, got, want)
		}
		if got, want := tanh(x/100), math.Tanh(x/100); math.Abs(got-want) > 1e-10 {
			t.Fatalf("tanh(%g) = %g, want %g", x/100, got, want)
		}
	}
	if exp(-1e9) != 0 || !math.IsInf(exp(1e9), 1) || tanh(1e9) != 1 || tanh(-1e9) != -1 || !math.IsNaN(exp(math.NaN())) {
		t.Error("the ends are wrong")
	}
}

func BenchmarkTrain(b *testing.B) {
	task := NewTask(1)
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		task.Train(Sample(rng), 1)
	}
}
