package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/encoders/learner"
	"archflow/internal/progress"
	"archflow/schemas"
)

// Sizes of fits; tests lower them.
var (
	fewNetworks = 10_000 // that the shortest fit knows
	fewLabels   = 100    // of the fits that are compared by their networks
	rivalLabels = 1_000  // of the fit that the rival does too
)

// fitCost is the time of a fit: from the labels to a model that knows them.
type fitCost struct {
	networks, labels int
	first            float64 // seconds of the first fit, which also makes the features
	again            float64 // seconds of the next one, with a label more
	heap             float64 // MB that the learner keeps
	model            float64 // MB of the model's file
	load             float64 // seconds to read it
}

// fitNetworks measures fits of a hundred labels by the number of networks that came,
// of which --buffer are kept: random cells of nb301, ten times as many each time up to
// --networks.
func (b *bench) fitNetworks(ctx context.Context) (*Figure, error) {
	var again []float64
	var said []string
	for n := fewNetworks; n <= b.Networks; n *= 10 {
		for range b.runsOf(n / fewNetworks) {
			cost, err := b.fit(ctx, n, fewLabels)
			if err != nil {
				return nil, err
			}
			if n == fewNetworks {
				again = append(again, 1/cost.again)
			}
			said = append(said[:len(said):len(said)], cost.byNetworks())
		}
	}
	b.note("fit_networks", "random cells of nb301, %d labels of a made-up result, the closed form without pre-training and student, a buffer of %s; by networks that came: %s", fewLabels, progress.Thousands(int64(b.config.Buffer)), strings.Join(said, "; "))
	return rates("fits/s", again, "", nil), nil
}

func (c fitCost) byNetworks() string {
	return fmt.Sprintf("%s: first %.2f s, with a label more %.2f s, learner %.0f MB, model %.1f MB read in %.2f s",
		progress.Thousands(int64(c.networks)), c.first, c.again, c.heap, c.model, c.load)
}

// fitLabels measures fits by the number of labels, ten times as many each time up to
// the number of networks, beside scikit-learn's Gaussian process and random forest.
func (b *bench) fitLabels(ctx context.Context) (*Figure, error) {
	var ours []float64
	var said []string
	for labels := fewLabels; labels <= b.Networks; labels *= 10 {
		networks := max(fewNetworks, labels)
		for range b.runsOf(labels / rivalLabels) {
			cost, err := b.fit(ctx, networks, labels)
			if err != nil {
				return nil, err
			}
			if labels == rivalLabels {
				ours = append(ours, 1/cost.first)
			}
			said = append(said, fmt.Sprintf("%s of %s networks: %.2f s", progress.Thousands(int64(labels)), progress.Thousands(int64(networks)), cost.first))
		}
	}
	theirs, err := b.sklearnFits(ctx, len(ours))
	if err != nil {
		said = append(said, fmt.Sprintf("no rival: %v", err))
	}
	b.note("fit_labels", "fits of random cells of nb301 whose labels all come at once; labels: %s; the rival fits %s labels on one-hot operations and edges and predicts %s networks",
		strings.Join(said, "; "), progress.Thousands(int64(rivalLabels)), progress.Thousands(int64(fewNetworks)))
	return rates("fits/s", ours, "scikit-learn's Gaussian process", theirs), nil
}

// runsOf is how often a fit is measured that takes about so many times as long as
// the shortest.
func (b *bench) runsOf(times int) int {
	if times > 1 {
		return 1
	}
	return b.Runs
}

// fit measures a fit and the one after it on networks of which some have labels.
func (b *bench) fit(ctx context.Context, networks, labels int) (cost fitCost, err error) {
	b.status.Show(fmt.Sprintf("  %s networks, %s labels", progress.Thousands(int64(networks)), progress.Thousands(int64(labels))))
	cost.networks, cost.labels = networks, labels
	before := liveHeap()
	l := learner.New(learner.Config{Space: "nb301", Flow: flow.New(flow.Config{}), Buffer: b.config.Buffer, Epochs: 1, Seed: b.config.Seed})
	cells := newRandomCells(b.config.Seed)
	var chosen []schemas.Label
	for seen := 0; seen < networks; {
		var c schemas.Candidates
		for range min(1000, networks-seen) {
			if err := cells.add(&c); err != nil {
				return cost, err
			}
		}
		for i := range c.Len() {
			l.Observe(&c, i)
			if seen*(labels+1)/networks < (seen+1)*(labels+1)/networks { // spread over all
				chosen = append(chosen, schemas.Label{Space: "nb301", Task: "made_up", Value: cells.value(&c, i), Architecture: c.Architecture[i], HasArchitecture: true})
			}
			seen++
		}
	}
	for _, x := range chosen[:len(chosen)-1] {
		l.Label(x)
	}
	if cost.first, err = untilPromoted(ctx, l); err != nil {
		return cost, err
	}
	l.Label(chosen[len(chosen)-1])
	if cost.again, err = untilPromoted(ctx, l); err != nil {
		return cost, err
	}
	cost.heap = liveHeap() - before
	var file bytes.Buffer
	if err := l.Champion().Write(&file); err != nil {
		return cost, err
	}
	cost.model = float64(file.Len()) / 1e6
	began := time.Now()
	_, err = encoders.ReadModel(&file)
	cost.load = time.Since(began).Seconds()
	runtime.KeepAlive(l)
	return cost, err
}

// untilPromoted works on labels until a model knows them, and returns the seconds.
func untilPromoted(ctx context.Context, l *learner.Learner) (float64, error) {
	began := time.Now()
	for l.Fits(true) {
		if _, err := l.Work(ctx, true); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), ctx.Err()
}

// liveHeap returns the heap after a collection, in MB.
func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// randomCells draws cells of nb301.
type randomCells struct {
	random  *rand.Rand
	decoder *schemas.Decoder
	drawn   [][2][]string // the first, by cell, for the rival
}

func newRandomCells(seed uint64) *randomCells {
	return &randomCells{random: rand.New(rand.NewPCG(seed, 301)), decoder: schemas.NewDecoder(schemas.Limits{})}
}

var cellOperations = []string{"max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// add draws a candidate and decodes it into c.
func (r *randomCells) add(c *schemas.Candidates) error {
	var drawn [2][]string
	for cell := range drawn {
		for node := range 4 {
			for _, from := range r.random.Perm(node + 2)[:2] {
				drawn[cell] = append(drawn[cell], fmt.Sprintf("('%s',%d)", cellOperations[r.random.IntN(len(cellOperations))], from))
			}
		}
	}
	line := fmt.Appendf(nil, `{"space":"nb301","arch":"Genotype(normal=[%s],normal_concat=range(2,6),reduce=[%s],reduce_concat=range(2,6))"}`,
		strings.Join(drawn[0], ","), strings.Join(drawn[1], ","))
	if refused := r.decoder.Candidate(c, line); refused != nil {
		return refused
	}
	c.Append(int64(c.Len()), 0, nil, nil)
	if len(r.drawn) < fewNetworks {
		r.drawn = append(r.drawn, drawn)
	}
	return nil
}

// value is a made-up result of candidate i: a sum over its operations, with noise.
func (r *randomCells) value(c *schemas.Candidates, i int) float64 {
	ops, edges := c.Networks.Graph(i)
	sum := .01*float64(len(edges)) + .3*r.random.NormFloat64()
	for _, op := range ops {
		switch name := schemas.Name(op); {
		case strings.HasPrefix(name, "sep"):
			sum += 2
		case strings.HasPrefix(name, "dil"):
			sum++
		}
	}
	return sum
}

// sklearnFits has scikit-learn fit the same cells.
func (b *bench) sklearnFits(ctx context.Context, times int) (rates []float64, err error) {
	if !b.Rivals || times == 0 {
		return nil, nil
	}
	cells := newRandomCells(b.config.Seed)
	var c schemas.Candidates
	var text bytes.Buffer
	for i := range fewNetworks {
		if err := cells.add(&c); err != nil {
			return nil, err
		}
		row, err := json.Marshal(map[string]any{"cells": cells.drawn[i], "label": cells.value(&c, i)})
		if err != nil {
			return nil, err
		}
		text.Write(append(row, '\n'))
	}
	folder, err := os.MkdirTemp("", "archflow-fits-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "cells.jsonl")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	s, _, err := b.startScript(ctx, "sklearn_fits.py", file)
	if err != nil {
		return nil, err
	}
	defer s.close()
	for range times {
		rate, err := s.ask(fmt.Sprint(rivalLabels))
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
	}
	return rates, nil
}
