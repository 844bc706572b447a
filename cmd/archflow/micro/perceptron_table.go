package micro

import (
	"math"
	"math/rand/v2"
)

// PerceptronSpace is the name of the space of perceptrons in messages.
const PerceptronSpace = "micro-perceptron"

// PerceptronRow is a perceptron of the benchmark.
type PerceptronRow struct {
	ID              int        `json:"id"`
	Space           string     `json:"space"`
	Hyperparameters Perceptron `json:"hyperparameters"`
	Labels          Labels     `json:"labels"`
}

// MakePerceptrons draws rows distinct perceptrons and trains each twice, in as
// many goroutines as workers, which changes nothing in the result. It calls done,
// from any of them, after every one.
func MakePerceptrons(rows, workers int, done func()) []PerceptronRow {
	rng := rand.New(rand.NewPCG(sampleSeed, 0x70657263))
	table := make([]PerceptronRow, 0, rows)
	known := map[Perceptron]bool{}
	for len(table) < rows {
		if p := SamplePerceptron(rng); !known[p] {
			known[p] = true
			table = append(table, PerceptronRow{ID: len(table), Space: PerceptronSpace, Hyperparameters: p})
		}
	}
	task := NewTask(TaskSeed)
	each(table, workers, func(r *PerceptronRow) {
		one, two := task.TrainPerceptron(r.Hyperparameters, 1), task.TrainPerceptron(r.Hyperparameters, 2)
		r.Labels = Labels{math.Round(50*(one+two)) / 100, one, two}
		done()
	})
	return table
}
