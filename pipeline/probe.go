package pipeline

import (
	"context"
	"fmt"
	"time"

	"archflow/internal/kafka"
	"archflow/sinks"
)

// probe asks the broker and, less often, writes to the store and the table.
func (r *readiness) probe(ctx context.Context, kafka *kafka.Connection, store, tables sinks.Bucket) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var broker error
	// Use a connection of its own: open connections and cached metadata do not show
	// whether another connection could be made.
	if err := kafka.Check(limited); err != nil {
		broker = fmt.Errorf("%s does not answer: %w; is it running, and can this machine reach it?", kafka, err)
	}
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	r.broker = broker
	due := r.store != nil || r.table != nil || len(r.trouble) > 0 || time.Since(r.written) >= writeEvery
	r.mu.Unlock()
	if !due {
		return
	}
	toStore, toTable := writable(ctx, "store", store), writable(ctx, "table", tables)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store, r.table, r.written = toStore, toTable, time.Now()
	for group, t := range r.trouble {
		if broker == nil && toStore == nil && toTable == nil && time.Since(t.at) > troubleFades {
			delete(r.trouble, group)
		}
	}
}

// writable tries to write to a bucket, under a key that nothing else uses.
func writable(ctx context.Context, what string, b sinks.Bucket) error {
	ctx, cancel := context.WithTimeout(ctx, 2*probeTimeout)
	defer cancel()
	if err := b.Write(ctx, "_probe/writable", []byte("archflow writes here to see whether it can\n")); err != nil {
		return fmt.Errorf("the %s cannot be written: %w; make room, or give this user the right to write to %s", what, err, b.URL())
	}
	return nil
}

// watch keeps readiness and the lag of partitions up to date until ctx ends.
func (r *readiness) watch(ctx context.Context, d *Connected, lag *lag, store, tables sinks.Bucket) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		r.probe(ctx, d.Connection, store, tables)
		lag.refresh(ctx, d.Client, probeEvery)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
