package encoders

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"

	"archflow/encoders/metrics"
	"archflow/schemas"
)

// DistilConfig says how scores are learnt. Zero values take the defaults in
// brackets.
type DistilConfig struct {
	Epochs       int     // [100]
	Batch        int     // [256]
	HeldOut      float64 // share of rows that is only used to measure [.1]; negative: none
	LearningRate float64 // at the start; it falls to nothing as a cosine [3e-3; From: 1e-3]
	WeightDecay  float64 // [1e-6]
	Seed         uint64  // of the head, the order, dropout and the choice of validation rows
	Cores        int     // [GOMAXPROCS]; results do not depend on it
	// Spreads are how many of the last targets say how unsure scores are, which is
	// learnt as it is and not by its ranks [0].
	Spreads int
	// From, if given, is an earlier student: learning goes on from its weights
	// where it knows the trunk's operations, in the trunk's order.
	From *Member
	// Pace, if given, is called before each mini-batch, may take its time, and
	// returns the cores that it may use; 0 means Cores.
	Pace func() int
}

// Distillation is a student and how well it repeats its teacher.
type Distillation struct {
	Member *Member
	// Tau is Kendall's tau with the teacher on the validation rows, a task at a time; NaN
	// without such rows.
	Tau []float64
}

// Distilling is a distillation under way. It can be interrupted between two mini-batches,
// and the trunk may change meanwhile. One goroutine uses it.
type Distilling struct {
	config      DistilConfig
	training    *training
	graphs      *schemas.Graphs
	rows        []int
	targets     [][]float64
	wanted      []float32 // [row, task]
	random      *rand.Rand
	held, order []int // places in rows
	epochs      int   // that are done
	at          int   // in order
	graphsDone  int
	batch       []int
	labels      []float32
}

// Distil forks the trunk, which is only read, and fits encoder and head by least
// squares to the rank-Gauss of targets[task][i], the scores of graph rows[i]:
// more is better, NaN is left out. A column of the member is a task.
func Distil(ctx context.Context, t *Trunk, g *schemas.Graphs, rows []int, targets [][]float64, c DistilConfig) (*Distillation, error) {
	d, err := NewDistilling(t, g, rows, targets, c)
	if err != nil {
		return nil, err
	}
	for !d.Done() {
		if err := d.Steps(ctx, 1); err != nil {
			return nil, err
		}
	}
	return d.Distillation(), nil
}

// NewDistilling begins the work of Distil. It keeps g, rows and targets, which must not
// change.
func NewDistilling(t *Trunk, g *schemas.Graphs, rows []int, targets [][]float64, c DistilConfig) (*Distilling, error) {
	if c.Epochs == 0 {
		c.Epochs = 100
	}
	if c.Batch == 0 {
		c.Batch = 256
	}
	if c.HeldOut == 0 {
		c.HeldOut = .1
	}
	if c.LearningRate == 0 {
		c.LearningRate = 3e-3
		if c.From != nil { // a lower rate preserves the weights of an earlier student
			c.LearningRate = 1e-3
		}
	}
	if c.WeightDecay == 0 {
		c.WeightDecay = 1e-6
	}
	if c.Epochs < 1 || c.Batch < 1 || c.HeldOut >= 1 || len(rows) == 0 || len(targets) == 0 {
		return nil, fmt.Errorf("distillation: %d graphs, %d tasks, %d epochs of batches of %d, %v held out: want at least one of each and less than all held out",
			len(rows), len(targets), c.Epochs, c.Batch, c.HeldOut)
	}
	tasks := len(targets)
	d := &Distilling{config: c, graphs: g, rows: rows, targets: targets, wanted: make([]float32, len(rows)*tasks)}
	for task, scores := range targets {
		if len(scores) != len(rows) {
			return nil, fmt.Errorf("distillation: task %d has %d scores for %d graphs", task, len(scores), len(rows))
		}
		wanted := scores
		if task < tasks-c.Spreads {
			wanted = metrics.RankGauss(scores)
		}
		for i, q := range wanted {
			d.wanted[i*tasks+task] = float32(q)
		}
	}
	d.training = t.fork(tasks, c.Seed, c.LearningRate, c.WeightDecay, c.Cores)
	d.training.learn(g, rows)
	d.training.resume(c.From)
	d.random = rand.New(d.training.random)
	order := d.random.Perm(len(rows))
	d.held = order[:int(max(c.HeldOut, 0)*float64(len(order)))]
	d.order = order[len(d.held):]
	d.batch, d.labels = make([]int, 0, c.Batch), make([]float32, 0, c.Batch*tasks)
	return d, nil
}

// Done reports whether all epochs have been learnt.
func (d *Distilling) Done() bool { return d.epochs >= d.config.Epochs }

// Steps learns at most limit mini-batches more. When ctx has ended it does nothing and
// returns its error.
func (d *Distilling) Steps(ctx context.Context, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for range limit {
		if d.Done() {
			return nil
		}
		if d.at == 0 {
			d.random.Shuffle(len(d.order), func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
		}
		d.step()
		if d.at >= len(d.order) {
			d.epochs, d.at = d.epochs+1, 0
		}
	}
	return nil
}

// step learns a mini-batch.
func (d *Distilling) step() {
	f, c, tasks := d.training, &d.config, len(d.targets)
	f.pool.cores = c.Cores
	if c.Pace != nil {
		f.pool.cores = cmp.Or(c.Pace(), c.Cores)
	}
	batch, labels := d.batch[:0], d.labels[:0]
	for _, i := range d.order[d.at:min(d.at+c.Batch, len(d.order))] {
		batch = append(batch, d.rows[i])
	}
	batch = batch[:fitting(f.encoder, d.graphs, batch)]
	for _, i := range d.order[d.at : d.at+len(batch)] {
		labels = append(labels, d.wanted[i*tasks:(i+1)*tasks]...)
	}
	d.at += len(batch)
	f.rate = c.LearningRate * cosine(d.graphsDone, c.Epochs*len(d.order))
	f.forward(d.graphs, batch)
	squares(f.doutput[0], f.output[0], labels, len(batch), 1)
	f.backward()
	d.graphsDone += len(batch)
}

// Distillation returns the student once it is Done.
func (d *Distilling) Distillation() *Distillation {
	m := newMember(d.training.network, d.training.weights, d.graphs, d.rows)
	for c := m.columns() - d.config.Spreads; c < m.columns(); c++ {
		m.shift[c], m.factor[c] = 0, 1
	}
	return &Distillation{m, agreement(m, d.graphs, d.rows, d.targets, d.held)}
}

// resume takes over the weights of a member that numbers operations alike and has
// an encoder of the same kind and size.
func (t *training) resume(m *Member) {
	if m != nil && m.network.vocabulary.equal(t.vocabulary) && m.network.alike(t.network) {
		copySlots(t.weights, &t.layout, m.weights, &m.network.layout)
	}
}

// agreement returns tau between member and targets over the places held.
func agreement(m *Member, g *schemas.Graphs, rows []int, targets [][]float64, held []int) []float64 {
	asked := make([]int, len(held))
	for i, h := range held {
		asked[i] = rows[h]
	}
	taus := make([]float64, len(targets))
	for task, scores := range m.Scores(g, asked) {
		var x, y []float64
		for i, h := range held {
			if target := targets[task][h]; target == target {
				x, y = append(x, scores[i]), append(y, target)
			}
		}
		taus[task] = metrics.KendallTau(x, y)
	}
	return taus
}
