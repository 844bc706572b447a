package ops

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"archflow/internal/finite"
)

// Metrics records what the pipeline does. Its methods may be called from any
// goroutine and cost a few tens of nanoseconds: counters and gauges are atomic
// words that are read when somebody collects, and only histograms go through
// the SDK, once for each batch.
type Metrics struct {
	families   map[string]*family
	histograms map[string]*histogram
	order      []*family

	mu     sync.Mutex
	stages []*Stage
	byName map[string]*Stage
	made   map[string]time.Time // of the model of a space

	now func() time.Time
}

// NewMetrics creates every instrument of the table on meter.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	m := &Metrics{
		families:   map[string]*family{},
		histograms: map[string]*histogram{},
		byName:     map[string]*Stage{},
		made:       map[string]time.Time{},
		now:        time.Now,
	}
	var observed []metric.Observable
	for _, row := range table {
		if row.Runtime {
			continue
		}
		text, unit := metric.WithDescription(row.Meaning), metric.WithUnit(row.Unit)
		var err error
		switch row.Kind {
		case Counter:
			f := newFamily(row)
			f.instrument, err = meter.Float64ObservableCounter(row.Name, text, unit)
			m.families[row.Name], m.order, observed = f, append(m.order, f), append(observed, f.instrument)
		case Gauge:
			f := newFamily(row)
			f.instrument, err = meter.Float64ObservableGauge(row.Name, text, unit)
			m.families[row.Name], m.order, observed = f, append(m.order, f), append(observed, f.instrument)
		case Histogram:
			h := &histogram{labels: newLabels(row)}
			h.instrument, err = meter.Float64Histogram(row.Name, text, unit, metric.WithExplicitBucketBoundaries(row.Buckets...))
			m.histograms[row.Name] = h
		default:
			err = fmt.Errorf("unknown kind %q", row.Kind)
		}
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", row.Name, err)
		}
	}
	_, err := meter.RegisterCallback(m.observe, observed...)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// observe hands every value to a collection.
func (m *Metrics) observe(_ context.Context, o metric.Observer) error {
	now := m.now()
	m.mu.Lock()
	for _, s := range m.stages {
		s.settle(now)
	}
	for space, made := range m.made {
		m.set("archflow.model.age", now.Sub(made).Seconds(), space)
	}
	m.mu.Unlock()
	for _, f := range m.order {
		f.observe(o)
	}
	return nil
}

func (m *Metrics) set(name string, v float64, values ...string) {
	m.families[name].with(values...).set(v)
}

func (m *Metrics) add(name string, v float64, values ...string) {
	m.families[name].with(values...).add(v)
}

func (m *Metrics) record(ctx context.Context, name string, v float64, values ...string) {
	h := m.histograms[name]
	h.instrument.Record(ctx, v, h.option(values))
}

// Lag says how far a partition's sinks are behind its end.
func (m *Metrics) Lag(topic string, partition int32, messages int64, behind time.Duration) {
	number := fmt.Sprint(partition)
	m.set("archflow.lag.messages", float64(messages), topic, number)
	m.set("archflow.lag.time", behind.Seconds(), topic, number)
}

// Open says how many messages of a partition an open transaction keeps from being
// read, and for how long it has.
func (m *Metrics) Open(topic string, partition int32, messages int64, since time.Duration) {
	number := fmt.Sprint(partition)
	m.set("archflow.lag.open.messages", float64(messages), topic, number)
	m.set("archflow.lag.open.time", since.Seconds(), topic, number)
}

// Forget drops the lag of a partition that is no longer ours, so that it is
// not reported twice.
func (m *Metrics) Forget(topic string, partition int32) {
	number := fmt.Sprint(partition)
	m.families["archflow.lag.messages"].drop(topic, number)
	m.families["archflow.lag.time"].drop(topic, number)
	m.families["archflow.lag.open.messages"].drop(topic, number)
	m.families["archflow.lag.open.time"].drop(topic, number)
}

// Latency records the time from a candidate's timestamp to its prediction; ctx
// names the trace for the exemplar.
func (m *Metrics) Latency(ctx context.Context, d time.Duration) {
	m.record(ctx, "archflow.prediction.latency", d.Seconds())
}

// Predictions counts candidates of a space that got their prediction; answered
// when at least one task has a value.
func (m *Metrics) Predictions(space string, answered bool, n int) {
	m.add("archflow.predictions", float64(n), space, fmt.Sprint(answered))
}

// DeadLetters counts refused messages by the class of their rejection.
func (m *Metrics) DeadLetters(class string, n int) {
	m.add("archflow.dead_letters", float64(n), class)
}

// Commit records a sink's commit of a number of rows; ctx names the trace for the
// exemplar.
func (m *Metrics) Commit(ctx context.Context, sink string, rows int, took time.Duration) {
	m.add("archflow.sink.rows", float64(rows), sink)
	m.record(ctx, "archflow.sink.commit.duration", took.Seconds(), sink)
}

// CommitFailed counts an attempt to commit that failed.
func (m *Metrics) CommitFailed(sink string) { m.add("archflow.sink.commit.failures", 1, sink) }

// Conflict counts a time that another writer of a table was faster.
func (m *Metrics) Conflict(table, operation string) {
	m.add("archflow.table.conflicts", 1, table, operation)
}

// Request records a request of the HTTP API; ctx names the trace for the exemplar.
func (m *Metrics) Request(ctx context.Context, route string, status int, took time.Duration) {
	m.add("archflow.api.requests", 1, route, strconv.Itoa(status))
	m.record(ctx, "archflow.api.duration", took.Seconds(), route)
}

// Rejected counts elements of requests, or whole ones, that were rejected.
func (m *Metrics) Rejected(class string, n int) {
	m.add("archflow.api.rejected", float64(n), class)
}

// Loss sets the latest loss of one part: flow, proxies or total.
func (m *Metrics) Loss(space, part string, value float64) {
	m.set("archflow.training.loss", value, space, part)
}

// Steps counts training steps; phase is pretrain or finetune.
func (m *Metrics) Steps(space, phase string, n int) {
	m.add("archflow.training.steps", float64(n), space, phase)
}

// Labels counts labels that arrived for a task.
func (m *Metrics) Labels(task string, n int) { m.add("archflow.training.labels", float64(n), task) }

// Waiting sets the number of labels that wait for their candidates.
func (m *Metrics) Waiting(space string, labels int) {
	m.set("archflow.training.labels.waiting", float64(labels), space)
}

// GivenUp counts labels that had to stop waiting.
func (m *Metrics) GivenUp(space string, n int) {
	m.add("archflow.training.labels.given_up", float64(n), space)
}

// FineTune records the time of a fine-tune.
func (m *Metrics) FineTune(ctx context.Context, space string, took time.Duration) {
	m.record(ctx, "archflow.training.finetune.duration", took.Seconds(), space)
}

// Replay sets the number of distinct networks in the replay buffer.
func (m *Metrics) Replay(space string, networks int) {
	m.set("archflow.training.replay.size", float64(networks), space)
}

// Decision counts a decision about a model: promoted or refused by the trainer, pinned,
// rolled_back or released by an operator.
func (m *Metrics) Decision(space, decision string) {
	m.add("archflow.model.decisions", 1, space, decision)
}

// Model says which version answers for a space, when it was made, and whether
// an operator has pinned it.
func (m *Metrics) Model(space string, version int64, made time.Time, pinned bool) {
	m.set("archflow.model.version", float64(version), space)
	v := 0.0
	if pinned {
		v = 1
	}
	m.set("archflow.model.pinned", v, space)
	m.mu.Lock()
	m.made[m.families["archflow.model.age"].bounded(space)] = made
	m.mu.Unlock()
}

// Scores are running scores of a task over its latest pairs of a prediction and
// the label that came after it; NaN where a score is not defined yet.
type Scores struct {
	Tau, TauRandom, TauRandomError, P1, P5, Coverage float64
	Pairs                                            int
}

// Score sets the running scores of a task.
func (m *Metrics) Score(task string, s Scores) {
	m.set("archflow.score.tau", s.Tau, task)
	m.set("archflow.score.tau_random", s.TauRandom, task)
	m.set("archflow.score.tau_random_error", s.TauRandomError, task)
	m.set("archflow.score.precision", s.P1, task, "1%")
	m.set("archflow.score.precision", s.P5, task, "5%")
	m.set("archflow.score.coverage", s.Coverage, task)
	m.set("archflow.score.pairs", float64(s.Pairs), task)
}

// Ready says whether /readyz says yes.
func (m *Metrics) Ready(ready bool) {
	v := 0.0
	if ready {
		v = 1
	}
	m.set("archflow.ready", v)
}

// labels turns attribute values into attribute sets, each built once, and
// holds their number to the bounds of the table.
type labels struct {
	attributes []Attribute
	mu         sync.RWMutex
	seen       []map[string]bool // by attribute
	sets       map[string]metric.MeasurementOption
}

func newLabels(row Instrument) *labels {
	l := &labels{attributes: row.Attributes, sets: map[string]metric.MeasurementOption{}}
	for range row.Attributes {
		l.seen = append(l.seen, map[string]bool{})
	}
	return l
}

// other is the value under which all values beyond a bound are counted.
const other = "other"

// admit returns the key and the attributes of values, with other in the place
// of values beyond a bound. The caller holds mu.
func (l *labels) admit(values []string) (string, attribute.Set) {
	pairs := make([]attribute.KeyValue, len(values))
	kept := make([]string, len(values))
	for i, v := range values {
		if !l.seen[i][v] {
			if len(l.seen[i]) >= l.attributes[i].Bound {
				v = other
			} else {
				l.seen[i][v] = true
			}
		}
		kept[i] = v
		pairs[i] = attribute.String(l.attributes[i].Name, v)
	}
	return key(kept), attribute.NewSet(pairs...)
}

func key(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, "\x00")
}

type histogram struct {
	*labels
	instrument metric.Float64Histogram
}

func (h *histogram) option(values []string) metric.MeasurementOption {
	k := key(values)
	h.mu.RLock()
	o := h.sets[k]
	h.mu.RUnlock()
	if o != nil {
		return o
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	kept, set := h.admit(values)
	if o = h.sets[kept]; o == nil {
		o = metric.WithAttributeSet(set)
		h.sets[kept] = o
	}
	return o
}

// family is the values of one counter or gauge.
type family struct {
	*labels
	instrument metric.Float64Observable
	values     map[string]*value
	list       []*value // in the order of their first use
}

// value is one series: a float64 that is added to and read atomically.
type value struct {
	bits   atomic.Uint64
	option metric.MeasurementOption
	key    string
}

func newFamily(row Instrument) *family {
	return &family{labels: newLabels(row), values: map[string]*value{}}
}

// with returns the series of these attribute values. Callers on a hot path keep the
// result.
func (f *family) with(values ...string) *value {
	k := key(values)
	f.mu.RLock()
	v := f.values[k]
	f.mu.RUnlock()
	if v != nil {
		return v
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, set := f.admit(values)
	v = f.values[kept]
	if v == nil {
		v = &value{option: metric.WithAttributeSet(set), key: kept}
		v.bits.Store(math.Float64bits(0))
		f.values[kept] = v
		f.list = append(f.list, v)
	}
	return v
}

// bounded returns the only value of a series, or other beyond the bound.
func (f *family) bounded(name string) string { return f.with(name).key }

func (f *family) drop(values ...string) {
	k := key(values)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.values[k] == nil {
		return
	}
	delete(f.values, k)
	for i, v := range f.list {
		if v.key == k {
			f.list = append(f.list[:i], f.list[i+1:]...)
			break
		}
	}
}

func (f *family) observe(o metric.Observer) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, v := range f.list {
		if x := v.get(); finite.Is(x) {
			o.ObserveFloat64(f.instrument, x, v.option)
		}
	}
}

func (v *value) get() float64  { return math.Float64frombits(v.bits.Load()) }
func (v *value) set(x float64) { v.bits.Store(math.Float64bits(x)) }
func (v *value) add(x float64) {
	for {
		old := v.bits.Load()
		if v.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
	}
}
