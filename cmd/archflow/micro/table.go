package micro

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// TaskSeed is the seed of the task that the benchmark and the demo train on.
const TaskSeed = 1

// sampleSeed draws the benchmark's architectures.
const sampleSeed = 1

// Row is an architecture of the benchmark.
type Row struct {
	ID      int                `json:"id"`
	Space   string             `json:"space"`
	Arch    string             `json:"arch"`
	Ops     []string           `json:"ops"`
	Edges   [][2]int           `json:"edges"`
	Labels  Labels             `json:"labels"`
	Proxies map[string]float64 `json:"proxies"`
}

// Labels are the accuracies of a network in percent, trained twice.
type Labels struct {
	Accuracy float64 `json:"accuracy"`       // the mean of the two
	Seed1    float64 `json:"accuracy_seed1"` // Task.Train with seed 1
	Seed2    float64 `json:"accuracy_seed2"` // Task.Train with seed 2
}

//go:embed micro.jsonl.gz
var file []byte

// Table returns the benchmark that ships with archflow.
func Table() ([]Row, error) { return Read(bytes.NewReader(file)) }

// Make draws rows distinct networks and trains each twice, in as many
// goroutines as workers, which changes nothing in the result. It calls done,
// from any of them, after every network.
func Make(rows, workers int, done func()) []Row {
	rng := rand.New(rand.NewPCG(sampleSeed, 0x7461626c65))
	table := make([]Row, 0, rows)
	known := map[string]bool{}
	for len(table) < rows {
		a := Sample(rng)
		if known[a.Arch] {
			continue
		}
		known[a.Arch] = true
		table = append(table, Row{ID: len(table), Space: Space, Arch: a.Arch, Ops: a.Ops, Edges: a.Edges})
	}

	task := NewTask(TaskSeed)
	each(table, workers, func(r *Row) {
		r.fill(task)
		done()
	})
	return table
}

// each calls do for every row, in as many goroutines as workers.
func each[R any](rows []R, workers int, do func(*R)) {
	next := make(chan *R)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for r := range next {
				do(r)
			}
		})
	}
	for i := range rows {
		next <- &rows[i]
	}
	close(next)
	group.Wait()
}

// Architecture returns the cell of r.
func (r *Row) Architecture() Architecture {
	return Architecture{Ops: r.Ops, Edges: r.Edges, Arch: r.Arch}
}

// fill trains r twice and computes its proxies.
func (r *Row) fill(task *Task) {
	a := r.Architecture()
	one, two := task.Train(a, 1), task.Train(a, 2)
	r.Labels = Labels{math.Round(50*(one+two)) / 100, one, two}
	r.Proxies = Proxies(a, task)
	for name, v := range r.Proxies {
		// Five digits say all there is, and fit in the file.
		r.Proxies[name] = digits(v, 5)
	}
}

// digits returns v with n significant digits.
func digits(v float64, n int) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', n, 64), 64)
	return v
}

// Write writes rows as gzipped JSON Lines. The same rows give the same bytes.
func Write[R any](w io.Writer, rows []R) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(zip)
	for i := range rows {
		if err := lines.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return zip.Close()
}

// Read reads what Write wrote.
func Read(r io.Reader) ([]Row, error) { return read[Row](r) }

func read[R any](r io.Reader) ([]R, error) {
	zip, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("micro benchmark: %w; make it again with make micro", err)
	}
	var rows []R
	for lines := json.NewDecoder(zip); ; {
		var row R
		if err := lines.Decode(&row); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("micro benchmark, row %d: %w; make it again with make micro", len(rows), err)
		}
		rows = append(rows, row)
	}
}

// ExpectedBest returns what RandomSearch finds in the mean over all draws of n
// different rows: the accuracy it saw, with seed 1, and the same network's with
// seed 2, which owes nothing to the luck of the choice.
func ExpectedBest(rows []Row, n int) (seen, again float64) {
	byAccuracy := map[float64][]float64{} // accuracies with seed 2, by those with seed 1
	for i := range rows {
		l := &rows[i].Labels
		byAccuracy[l.Seed1] = append(byAccuracy[l.Seed1], l.Seed2)
	}
	// From the top: an accuracy is the best with the chance that one of its rows
	// is drawn and none above was; each of its rows is as likely to be the one.
	n = min(n, len(rows))
	none, below := 1.0, len(rows)
	for _, accuracy := range slices.Backward(slices.Sorted(maps.Keys(byAccuracy))) {
		before := none
		for range byAccuracy[accuracy] {
			none *= max(0, 1-float64(n)/float64(below))
			below--
		}
		seen += (before - none) * accuracy
		again += (before - none) * sum(byAccuracy[accuracy]) / float64(len(byAccuracy[accuracy]))
	}
	return seen, again
}
