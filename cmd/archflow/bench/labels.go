package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"archflow/pipeline"
)

const (
	firstBatch = 20  // labels of the first round
	laterBatch = 10  // labels of each round after it
	allLabels  = 150 // in the end
)

// labelToAnswer measures the time from the moment when labels are published to the
// moment when the process answers with a model that knows them. Pre-training has
// caught up before the first.
func (b *bench) labelToAnswer(ctx context.Context) (*Figure, error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	c := s.next(pipeline.RoleAll)
	c.ExitAtEnd, c.Epochs = false, 4
	c.Data = filepath.Join(s.data, "labels")
	c.Store = filepath.Join(s.data, "labels-store")
	seconds, cpu, err := s.rounds(ctx, &c, b.config.Seed)
	if err = errors.Join(err, os.RemoveAll(c.Data), os.RemoveAll(c.Store), os.RemoveAll(c.Table)); err != nil {
		return nil, err
	}
	b.note("label_to_answer", "%d networks of %s, %d labels and then %d at a time up to %d, all roles in one process that has nothing else to do; each round from publishing to a model that knows the labels; 95th percentile %.2f s, the first %.2f s, %.2f s of processor time a round",
		len(s.table.lines), s.table.name, firstBatch, laterBatch, allLabels, quantile(seconds, .95), seconds[0], cpu/float64(len(seconds)))
	return rates("s", seconds, "", nil), nil
}

// rounds publishes the table and then labels, round after round, and returns the
// seconds that each round waited and the seconds of processor time of all.
func (s *stream) rounds(ctx context.Context, c *pipeline.Config, seed uint64) (waited []float64, cpu float64, err error) {
	p, err := pipeline.Open(ctx, c, s.report, s.version)
	if err != nil {
		return nil, 0, err
	}
	work, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- p.Run(work) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ran, p.Close())
	}()
	w := p.Writer(p.Topics.Architectures)
	for _, line := range s.table.lines {
		if err := w.Write(ctx, nil, line, nil); err != nil {
			return nil, 0, err
		}
	}
	if err := w.Close(ctx); err != nil {
		return nil, 0, err
	}
	for p.Summary().Predictions < int64(len(s.table.lines)) || p.Training() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	order, sent := rand.New(rand.NewPCG(seed, 9)).Perm(len(s.table.lines)), int64(0)
	for n := firstBatch; sent < allLabels; n = laterBatch {
		before := processorTime()
		w := p.Writer(p.Topics.Labels)
		for round := 0; round < n; order = order[1:] {
			i := order[0]
			if value := s.table.labels[i]; value == value {
				text, err := json.Marshal(map[string]any{
					"space": s.table.space(), "architecture": s.table.rows.Architecture[i].String(), "task": taskOf[s.table.name], "value": value,
				})
				if err != nil {
					return nil, 0, err
				}
				if err := w.Write(ctx, nil, text, nil); err != nil {
					return nil, 0, err
				}
				round, sent = round+1, sent+1
			}
		}
		if err := w.Close(ctx); err != nil {
			return nil, 0, err
		}
		began := time.Now()
		if err := p.Considered(ctx, []string{s.table.space()}, map[int32]int64{0: sent}); err != nil {
			return nil, 0, err
		}
		waited = append(waited, time.Since(began).Seconds())
		cpu += (processorTime() - before).Seconds()
		time.Sleep(time.Second) // a searcher trains its choice
	}
	if p.ModelName(s.table.space()) == "" {
		return nil, 0, fmt.Errorf("no model of %s came of %d labels", s.table.space(), sent)
	}
	return waited, cpu, nil
}
