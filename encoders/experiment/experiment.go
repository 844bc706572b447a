package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"archflow/encoders"
	"archflow/encoders/metrics"
	"archflow/encoders/teacher"
	"archflow/internal/finite"
	"archflow/schemas"
)

// proxyShare is the share of the items that must carry a proxy for the encoder
// to learn it unasked.
const proxyShare = .2

// batch is the mini-batch of pre-training, the paper's.
const batch = 256

// Experiment is a table made ready for runs. It is used by one goroutine at a
// time, and keeps the pre-trained encoder of the last seed.
type Experiment struct {
	// Report, when not nil, is called while a run goes on: with the name of its
	// stage and the share of the stage that is done.
	Report func(stage string, done float64)

	table       *Table
	config      Config
	items       *items
	learnt      []int // proxies that the encoder learns
	headProxies []int // proxies that the heads of best see
	trained     *trained

	surrogates Figure // computed a second
	variance   Figure // of the surrogates, summed over their dimensions
}

// trained holds the parts that runs of one seed share.
type trained struct {
	seed     uint64
	trunk    *encoders.Trunk
	features *teacher.Features // of best
	seconds  float64
}

// New prepares an experiment; t must not change while it is used.
func New(t *Table, c Config) (*Experiment, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	c = c.withDefaults(t.Space)
	if err := c.check(t); err != nil {
		return nil, err
	}
	e := &Experiment{table: t, config: c, items: prepare(t, c.Prune, c.Merge)}
	for _, name := range c.Proxies {
		e.learnt = append(e.learnt, t.proxy(name))
	}
	e.headProxies = e.learnt
	if c.AsPublished && c.Proxies == nil {
		e.learnt = t.usualProxy()
		return e, nil
	}
	if c.Proxies == nil {
		for p, values := range e.items.values {
			known := 0
			for _, v := range values {
				if finite.Is(v) {
					known++
				}
			}
			e.headProxies = append(e.headProxies, p)
			if float64(known) >= proxyShare*float64(len(values)) {
				e.learnt = append(e.learnt, p)
			}
		}
	}
	return e, nil
}

// Config returns the configuration with its defaults filled in.
func (e *Experiment) Config() Config { return e.config }

// Items returns the number of graphs that are encoded: distinct networks, or
// rows.
func (e *Experiment) Items() int { return e.items.graphs.Len() }

// Learnt returns the proxies that the encoder is pre-trained to rank.
func (e *Experiment) Learnt() []string {
	var names []string
	if e.config.ranks() {
		for _, p := range e.learnt {
			names = append(names, e.table.Proxies[p].Name)
		}
	}
	return names
}

// Run trains and tests one split.
func (e *Experiment) Run(ctx context.Context, s Split) (Run, error) {
	if err := s.Check(e.table); err != nil {
		return Run{}, err
	}
	shared, err := e.pretrained(ctx, s.Seed)
	if err != nil {
		return Run{}, err
	}
	r := Run{Seed: s.Seed, Permutation: s.Permutation, Surrogates: e.surrogates, FlowVariance: e.variance}
	measure := e.published
	if e.config.Predictor == Best {
		measure = e.best
	}
	began := time.Now()
	if err := measure(ctx, &r, shared, s); err != nil {
		return Run{}, fmt.Errorf("seed %d: %w", s.Seed, err)
	}
	r.Seconds = Figure(time.Since(began).Seconds() + shared.seconds)
	if r.Student != nil {
		r.Seconds -= r.Student.Seconds
	}
	return r, nil
}

// tested returns the figures of scores [items] on the rows that are tested.
func (e *Experiment) tested(scores []float64, s Split) Figures {
	truth, predicted := make([]float64, len(s.Test)), make([]float64, len(s.Test))
	for i, r := range s.Test {
		truth[i], predicted[i] = e.table.Label[r], scores[e.items.of[r]]
	}
	return Measure(truth, predicted)
}

// pretrained returns the encoder of a seed, trained on all items without labels.
func (e *Experiment) pretrained(ctx context.Context, seed uint64) (*trained, error) {
	if e.trained != nil && e.trained.seed == seed {
		return e.trained, nil
	}
	began := time.Now()
	c := e.config.trunk(seed, len(e.learnt))
	c.Operations = operations(&e.items.graphs)
	trunk, err := encoders.NewTrunk(c)
	if err != nil {
		return nil, err
	}
	if c = trunk.Config(); c.K > 0 || c.Proxies > 0 || c.Pretext != "" {
		if err := e.pretrain(ctx, trunk, seed); err != nil {
			return nil, err
		}
	}
	shared := &trained{seed: seed, trunk: trunk}
	if e.config.Predictor == Best {
		if shared.features, err = e.features(ctx, trunk); err != nil {
			return nil, err
		}
	}
	shared.seconds = time.Since(began).Seconds()
	e.trained = shared
	return shared, nil
}

func (e *Experiment) pretrain(ctx context.Context, trunk *encoders.Trunk, seed uint64) error {
	n, c := e.items.graphs.Len(), trunk.Config()
	var targets []float32
	if c.K > 0 {
		var err error
		if targets, err = e.flows(seed, c.Operations); err != nil {
			return err
		}
	}
	proxies := make([][]float32, c.Proxies)
	for i := range proxies {
		proxies[i] = narrow(e.items.values[e.learnt[i]])
	}
	random := rand.New(rand.NewPCG(seed, 0x65706f6368)) // "epoch"
	for epoch := range e.config.Epochs {
		order := random.Perm(n)
		for len(order) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			losses := trunk.Step(&e.items.graphs, order[:min(batch, len(order))], targets, proxies)
			order = order[losses.Rows:]
			e.report("pre-training", (float64(epoch)+1-float64(len(order))/float64(n))/float64(e.config.Epochs))
		}
	}
	return nil
}

func perSecond(n int, d time.Duration) Figure { return Figure(float64(n) / max(d.Seconds(), 1e-9)) }

func (e *Experiment) report(stage string, done float64) {
	if e.Report != nil {
		e.Report(stage, done)
	}
}

// narrow ranks values before they lose their last bits, which would merge some.
func narrow(values []float64) []float32 {
	out := make([]float32, len(values))
	var known []float64
	for _, v := range values {
		if finite.Is(v) {
			known = append(known, v)
		}
	}
	ranks := metrics.Ranks(known)
	for i, v := range values {
		out[i] = float32(math.NaN())
		if finite.Is(v) {
			out[i], ranks = float32(ranks[0]), ranks[1:]
		}
	}
	return out
}

// operations returns the names of all operations in order, none when they are
// more than a network may know.
func operations(g *schemas.Graphs) []string {
	seen := map[schemas.Symbol]bool{}
	var names []string
	for _, op := range g.Ops {
		if !seen[op] {
			seen[op] = true
			names = append(names, schemas.Name(op))
		}
	}
	if len(names) >= encoders.MaxOperations {
		return nil
	}
	slices.Sort(names)
	return names
}

// counting returns 0, 1, ... n-1.
func counting(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
