package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archflow/schemas"
	"archflow/sinks"
)

// retryTable is how often a table that cannot be written is tried again. Tests
// are not as patient.
var retryTable = 15 * time.Second

// errTableBack ends a session whose table can be written again: the next begins
// at the table's position and gives it what it has missed.
var errTableBack = errors.New("a table that could not be written can be written again")

// tableGate lets answers go on while a table cannot be written, because another program
// has changed it into one that we must not write or has taken our right to. The gate
// then drops the rows, which the topic still has, and the table's position does not
// count for the start of a session.
type tableGate struct {
	open    func(context.Context) (sinks.Sink, error)
	every   time.Duration // between two tries while it is shut
	sink    sinks.Sink    // nil while it is shut
	name    string
	log     *slog.Logger
	closed  atomic.Bool
	trouble *tableTrouble
}

// tableTrouble is why tables are not written, for /readyz.
type tableTrouble struct {
	mu sync.Mutex
	of map[string]error
}

// note sets the fault of a table; nil clears it.
func (t *tableTrouble) note(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[string]error{}
	}
	if t.of[name] = err; err == nil {
		delete(t.of, name)
	}
}

// status is the line of /readyz, "" when all tables are written.
func (t *tableTrouble) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t.of)) {
		all = append(all, fmt.Sprintf("answers go on without %s, which gets what it misses once it can be written: %s", name, t.of[name]))
	}
	return strings.Join(all, "; ")
}

// shut closes the gate for an error that time does not heal, and returns any
// other.
func (g *tableGate) shut(err error) error {
	if !sinks.Unwritable(err) {
		return err
	}
	if g.sink != nil {
		_ = g.sink.Close() // it holds nothing that the topic has not
		g.sink = nil
	}
	g.trouble.note(g.name, err)
	if !g.closed.Swap(true) {
		g.log.Error("answers go on without the table, which is tried again every now and then and gets what it misses from the topic", "table", g.name, "error", err)
	}
	return nil
}

// Name implements sinks.Sink.
func (g *tableGate) Name() string { return g.name }

// Positions of a table that is shut hold nobody back: see among.
func (g *tableGate) Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	if g.sink == nil {
		return nil, nil
	}
	return g.sink.Positions(ctx, of)
}

// Write implements sinks.Sink.
func (g *tableGate) Write(ctx context.Context, b *schemas.Batch) error {
	if g.sink == nil {
		b.Rows.Release()
		return nil
	}
	return g.shut(g.sink.Write(ctx, b))
}

// Commit implements sinks.Sink.
func (g *tableGate) Commit(ctx context.Context) error {
	if g.sink == nil {
		return nil
	}
	return g.shut(g.sink.Commit(ctx))
}

// watch tries the table every now and then while it is shut, until ctx ends, and
// calls back when it can be written again.
func (g *tableGate) watch(ctx context.Context, back func()) {
	for tick := time.Tick(g.every); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if !g.closed.Load() {
			continue
		}
		if sink, err := g.open(ctx); err == nil {
			_ = sink.Close()
			g.log.Info("the table can be written again", "table", g.name)
			back()
			return
		}
	}
}

// Pending implements sinks.Sink.
func (g *tableGate) Pending() (rows, bytes int) {
	if g.sink == nil {
		return 0, 0
	}
	return g.sink.Pending()
}

// Close implements sinks.Sink.
func (g *tableGate) Close() error {
	if g.sink == nil {
		return nil
	}
	return g.sink.Close()
}

// among returns those of all that a session has to begin for.
func among(all ...positioned) (open []positioned) {
	for _, p := range all {
		if g, ok := p.(*tableGate); !ok || !g.closed.Load() {
			open = append(open, p)
		}
	}
	return open
}
