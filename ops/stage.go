package ops

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Stage measures one stage of the topology.
type Stage struct {
	name             string
	in, out, batches *value
	time             [3]*value // by state
	count            *value
	depth, capacity  *value
	size, duration   metric.Float64Histogram
	attributes       metric.MeasurementOption
	now              func() time.Time
	mu               sync.Mutex
	workers          []*Worker
	queueDepth       func() int
	after            []string
}

// Stage returns the stage of that name, created at its first use: the order of
// the first uses is the order on the live page.
func (m *Metrics) Stage(name string) *Stage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byName[name]; s != nil {
		return s
	}
	with := func(metric string, values ...string) *value {
		return m.families["archflow.stage."+metric].with(append([]string{name}, values...)...)
	}
	s := &Stage{
		name: name,
		in:   with("rows_in"), out: with("rows_out"), batches: with("batches"),
		time:       [3]*value{with("time", "idle"), with("time", "busy"), with("time", "blocked")},
		count:      with("workers"),
		depth:      with("queue.depth"),
		capacity:   with("queue.capacity"),
		size:       m.histograms["archflow.stage.batch.size"].instrument,
		duration:   m.histograms["archflow.stage.duration"].instrument,
		attributes: m.histograms["archflow.stage.duration"].option([]string{name}),
		now:        m.now,
	}
	m.byName[name] = s
	m.stages = append(m.stages, s)
	return s
}

// stageNames lists the stages in their order.
func (m *Metrics) stageNames() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, len(m.stages))
	for i, s := range m.stages {
		names[i] = s.name
	}
	return names
}

// Queue says how to read the number of batches that wait in front of the
// stage, and how many fit.
func (s *Stage) Queue(depth func() int, capacity int) {
	s.mu.Lock()
	s.queueDepth = depth
	s.mu.Unlock()
	s.capacity.set(float64(capacity))
}

// After says which stages feed this one, for the drawing on the live page.
func (s *Stage) After(names ...string) *Stage {
	s.mu.Lock()
	s.after = names
	s.mu.Unlock()
	return s
}

// settle brings time and queue depth up to date for a reader.
func (s *Stage) settle(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.settle(now)
	}
	if s.queueDepth != nil {
		s.depth.set(float64(s.queueDepth()))
	}
}

func (s *Stage) feeders() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after
}

type state uint8

const (
	idle state = iota
	busy
	blocked
)

// Worker is the clock of one goroutine that runs a stage. Only that goroutine
// calls it: Idle before it waits for input, Busy when it has some, Blocked
// before it hands on and Busy after, Done after each batch, Stop at the end.
// Every call is also a sign of life: see Metrics.Stalled.
type Worker struct {
	stage *Stage

	mu       sync.Mutex
	state    state
	since    time.Time     // up to here time is counted
	progress time.Time     // the last sign of life
	worked   time.Duration // busy time since the last Done
}

// Worker adds a goroutine to the stage. It starts idle.
func (s *Stage) Worker() *Worker {
	now := s.now()
	w := &Worker{stage: s, since: now, progress: now}
	s.mu.Lock()
	s.workers = append(s.workers, w)
	s.mu.Unlock()
	s.count.add(1)
	return w
}

// Idle says that the worker waits for input.
func (w *Worker) Idle() { w.enter(idle) }

// Busy says that the worker works.
func (w *Worker) Busy() { w.enter(busy) }

// Blocked says that the worker waits for room downstream.
func (w *Worker) Blocked() { w.enter(blocked) }

// Beat says that the worker is alive although its work takes long: between
// training steps, or while it tries again to reach a broker.
func (w *Worker) Beat() {
	now := w.stage.now()
	w.mu.Lock()
	w.progress = now
	w.mu.Unlock()
}

func (w *Worker) enter(next state) {
	now := w.stage.now()
	w.mu.Lock()
	w.count(now)
	w.state, w.progress = next, now
	w.mu.Unlock()
}

// count adds the time since the last count to the present state.
func (w *Worker) count(now time.Time) {
	d := now.Sub(w.since)
	if d <= 0 {
		return
	}
	w.stage.time[w.state].add(d.Seconds())
	if w.state == busy {
		w.worked += d
	}
	w.since = now
}

func (w *Worker) settle(now time.Time) {
	w.mu.Lock()
	w.count(now)
	w.mu.Unlock()
}

// Done counts a finished batch: rows taken and rows passed on. ctx names the
// trace for the exemplar.
func (w *Worker) Done(ctx context.Context, rowsIn, rowsOut int) {
	now := w.stage.now()
	w.mu.Lock()
	w.count(now)
	w.progress = now
	worked := w.worked
	w.worked = 0
	w.mu.Unlock()
	s := w.stage
	s.in.add(float64(rowsIn))
	s.out.add(float64(rowsOut))
	s.batches.add(1)
	s.size.Record(ctx, float64(rowsIn), s.attributes)
	s.duration.Record(ctx, worked.Seconds(), s.attributes)
}

// Stop takes the worker from its stage.
func (w *Worker) Stop() {
	w.settle(w.stage.now())
	s := w.stage
	s.mu.Lock()
	for i, other := range s.workers {
		if other == w {
			s.workers = append(s.workers[:i], s.workers[i+1:]...)
			s.count.add(-1)
			break
		}
	}
	s.mu.Unlock()
}

// Stalled returns an error that names the stages with a worker that has had work for
// longer than limit without a sign of life; nil when there is none. A blocked worker is
// not stalled: the stage that it waits for is.
func (m *Metrics) Stalled(limit time.Duration) error {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	var worst error
	var longest time.Duration
	for _, s := range m.stages {
		s.mu.Lock()
		for _, w := range s.workers {
			w.mu.Lock()
			quiet := now.Sub(w.progress)
			if w.state == busy && quiet > limit && quiet > longest {
				longest = quiet
				worst = fmt.Errorf("stage %s has worked for %s without progress (limit %s): look at /debug/pprof/goroutine, then restart the process; nothing is lost", s.name, quiet.Round(time.Second), limit)
			}
			w.mu.Unlock()
		}
		s.mu.Unlock()
	}
	return worst
}

// StageRates computes the rates of all stages between two calls of Next.
type StageRates struct {
	m    *Metrics
	at   time.Time
	last map[string]stageTotals
}

type stageTotals struct {
	in, out float64
	time    [3]float64
}

// StageRates returns a reader of rates; its first Next covers the time from now.
func (m *Metrics) StageRates() *StageRates {
	r := &StageRates{m: m, last: map[string]stageTotals{}}
	r.Next()
	return r
}

// Next returns the stages in their order with the rates since the last call,
// and lights the bottleneck of each flow of stages that feed each other: its
// busiest stage, if that is busy for more than half of its time and work waits
// for it.
func (r *StageRates) Next() []StageState {
	now := r.m.now()
	elapsed := now.Sub(r.at).Seconds()
	r.at = now
	r.m.mu.Lock()
	stages := append([]*Stage(nil), r.m.stages...)
	r.m.mu.Unlock()
	list := make([]StageState, 0, len(stages))
	flow := map[string]int{} // by stage; a stage belongs to the flow of the first that feeds it
	slowest := map[int]int{} // by flow
	for i, s := range stages {
		s.settle(now)
		t := stageTotals{s.in.get(), s.out.get(), [3]float64{s.time[idle].get(), s.time[busy].get(), s.time[blocked].get()}}
		l := r.last[s.name]
		r.last[s.name] = t
		st := StageState{Name: s.name, After: s.feeders(), Rows: int64(t.in), Queue: int(s.depth.get()), Capacity: int(s.capacity.get())}
		if elapsed > 0 {
			st.In, st.Out = (t.in-l.in)/elapsed, (t.out-l.out)/elapsed
		}
		total := 0.0
		for k := range t.time {
			total += t.time[k] - l.time[k]
		}
		if total > 0 {
			st.Idle, st.Busy, st.Blocked = (t.time[idle]-l.time[idle])/total, (t.time[busy]-l.time[busy])/total, (t.time[blocked]-l.time[blocked])/total
		}
		of := i
		for _, before := range st.After {
			if f, ok := flow[before]; ok {
				of = f
				break
			}
		}
		flow[s.name] = of
		if worst, ok := slowest[of]; st.Busy > .5 && 2*st.Queue >= st.Capacity && (!ok || st.Busy > list[worst].Busy) {
			slowest[of] = i
		}
		list = append(list, st)
	}
	for _, i := range slowest {
		list[i].Bottleneck = true
	}
	return list
}
