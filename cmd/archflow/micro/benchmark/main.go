// Command benchmark makes the micro benchmark, or with -perceptrons that of
// perceptrons: it draws architectures, trains each twice and writes the table, the
// same bytes every time. Progress goes to standard error, the contents of the table to
// standard output.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"gonum.org/v1/gonum/stat"

	"archflow/cmd/archflow/micro"
)

func main() {
	perceptrons := flag.Bool("perceptrons", false, "make the benchmark of perceptrons")
	rows := flag.Int("rows", 0, "architectures to draw, 0 for 4500, or 1000 perceptrons")
	workers := flag.Int("workers", runtime.NumCPU(), "trainings at a time; changes nothing in the file")
	folder := flag.String("folder", "cmd/archflow/micro", "where to write")
	flag.Parse()
	if err := run(*perceptrons, *rows, *workers, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func run(perceptrons bool, rows, workers int, folder string) error {
	name := "micro.jsonl.gz"
	if perceptrons {
		name = "perceptron.jsonl.gz"
	}
	if rows == 0 {
		rows = 4500
		if perceptrons {
			rows = 1000
		}
	}
	if rows < 2 || workers < 1 {
		return fmt.Errorf("-rows %d -workers %d: want at least 2 rows and 1 worker", rows, workers)
	}
	start := time.Now()
	var count atomic.Int64
	done := func() {
		if n := count.Add(1); n%500 == 0 || n == int64(rows) {
			fmt.Fprintf(os.Stderr, "%d of %d networks trained twice, %.0f s\n", n, rows, time.Since(start).Seconds())
		}
	}
	var file bytes.Buffer
	var labels []micro.Labels
	var cells []micro.Row
	var err error
	if perceptrons {
		table := micro.MakePerceptrons(rows, workers, done)
		for i := range table {
			labels = append(labels, table[i].Labels)
		}
		err = micro.Write(&file, table)
	} else {
		cells = micro.Make(rows, workers, done)
		for i := range cells {
			labels = append(labels, cells[i].Labels)
		}
		err = micro.Write(&file, cells)
	}
	if err != nil {
		return err
	}
	// The old table stays until the new one is whole: the package embeds it.
	out := filepath.Join(folder, name)
	if err := os.WriteFile(out+".new", file.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(out+".new", out); err != nil {
		return err
	}
	fmt.Printf("%s: %d networks, %d bytes\n", out, rows, file.Len())
	fmt.Printf("%.1f ms a training on each of %d cores\n", time.Since(start).Seconds()*1000*float64(workers)/float64(2*rows), workers)
	describe(labels)
	if cells != nil {
		describeCells(cells)
	}
	return nil
}

// describe prints how far the two trainings agree and how accuracies spread.
func describe(labels []micro.Labels) {
	var one, two, mean []float64
	noise := 0.0
	for _, l := range labels {
		one, two, mean = append(one, l.Seed1), append(two, l.Seed2), append(mean, l.Accuracy)
		noise += (l.Seed1 - l.Seed2) * (l.Seed1 - l.Seed2) / 2
	}
	fmt.Printf("Kendall tau between the two seeds: %.3f\n", stat.Kendall(one, two, nil))
	_, deviation := stat.MeanStdDev(mean, nil)
	fmt.Printf("standard deviation between networks %.2f, between seeds %.2f\n", deviation, math.Sqrt(noise/float64(len(labels))))
	slices.Sort(mean)
	fmt.Print("accuracy:")
	for _, q := range []float64{0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1} {
		fmt.Printf(" %g%% %.1f", 100*q, mean[int(q*float64(len(mean)-1))])
	}
	fmt.Println()
}

// describeCells prints the result of a random search and how well proxies rank.
func describeCells(table []micro.Row) {
	fmt.Print("best of a random search, as seen and trained again:")
	for _, n := range []int{10, 30, 100, 300} {
		seen, again := micro.ExpectedBest(table, n)
		fmt.Printf(" %d trainings %.2f %.2f", n, seen, again)
	}
	fmt.Println()
	for _, proxy := range []string{"params", "grad_norm", "snip", "nwot"} {
		var score, accuracy []float64
		for i := range table {
			if v, ok := table[i].Proxies[proxy]; ok {
				score, accuracy = append(score, v), append(accuracy, table[i].Labels.Accuracy)
			}
		}
		fmt.Printf("Kendall tau of %s with accuracy: %.2f (%d networks)\n", proxy, stat.Kendall(score, accuracy, nil), len(score))
	}
}
