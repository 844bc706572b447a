package encoders

import (
	"fmt"
	"math"
	"slices"

	"archflow/encoders/calibration"
	"archflow/schemas"
)

// Model serves one space: members, and for every task the heads whose mean score orders
// its architectures and the calibration that turns scores into values. It is immutable
// and safe for concurrent use.
type Model struct {
	Space   string
	Version int64
	Members []*Member
	Tasks   []Task
	Cache   *ScoreCache // nil without
}

// Task is something that labels of the space measure.
type Task struct {
	Name     string `json:"name"`
	Minimise bool   `json:"minimise,omitempty"` // less is better
	Of       string `json:"of,omitempty"`       // OfArchitecture, "" for the network
	Labels   int    `json:"labels"`             // that the heads were fitted to
	Heads    []Head `json:"heads"`
	// Spreads say how unsure the score is, see Calibrate; none in models from before.
	Spreads     []Head          `json:"spreads,omitempty"`
	Calibration calibration.Map `json:"calibration"`
	// Unseen is that of networks that the model does not remember, whose scores
	// are the student's alone; nil when there is no difference. It has no
	// quantiles of its own.
	Unseen *calibration.Map `json:"unseen,omitempty"`
	// Failures is nil where no label reported one.
	Failures *Failures `json:"failures,omitempty"`
	// Learnt describes the labelled networks; nil in models from before it was kept.
	Learnt *Learnt `json:"learnt,omitempty"`
}

// OfArchitecture is Task.Of of a task that depends on the graph as given, dead
// operations included.
const OfArchitecture = "architecture"

// OfArchitecture says that the task depends on the graph as given.
func (t *Task) OfArchitecture() bool { return t.Of == OfArchitecture }

// TaskNames returns the names of the tasks.
func (m *Model) TaskNames() []string {
	names := make([]string, len(m.Tasks))
	for i, t := range m.Tasks {
		names[i] = t.Name
	}
	return names
}

// ofArchitecture says that some task depends on the graph as given.
func (m *Model) ofArchitecture() bool {
	return slices.ContainsFunc(m.Tasks, func(t Task) bool { return t.OfArchitecture() })
}

// Answer scores candidates by their networks and, in tasks that depend on the graph as
// given, by their architectures: graphs of both, their identities, and the rows asked
// for. Cached scores take precedence.
func (m *Model) Answer(w *Workspace, networks, graphs *schemas.Graphs, network, architecture []schemas.ID, rows []int) *Answers {
	if !m.ofArchitecture() {
		a := m.Predict(w, networks, rows)
		m.UseCache(a, network, rows)
		return a
	}
	embeddings := w.Embeddings
	w.Embeddings = false
	given := m.Predict(w, graphs, rows)
	m.UseCache(given, architecture, rows)
	scores, spreads := make([][]float64, len(m.Tasks)), make([][]float64, len(m.Tasks))
	for t := range m.Tasks {
		if m.Tasks[t].OfArchitecture() {
			scores[t], spreads[t] = slices.Clone(given.Score[t]), slices.Clone(given.Spread[t])
		}
	}
	w.Embeddings = embeddings
	a := m.Predict(w, networks, rows)
	m.UseCache(a, network, rows)
	for t, own := range scores {
		if own != nil {
			copy(a.Score[t], own)
			copy(a.Spread[t], spreads[t])
		}
	}
	return a
}

// CachedScores returns the scores that the model remembers of a candidate, as
// Known.Scores does, and how unsure they are, as Known.Spreads does.
func (m *Model) CachedScores(network, architecture schemas.ID) (scores, spreads []float64) {
	if network == architecture || !m.ofArchitecture() {
		return m.Cache.Lookup(network), m.Cache.LookupSpread(network)
	}
	return m.either(m.Cache.Lookup(network), m.Cache.Lookup(architecture)), m.either(m.Cache.LookupSpread(network), m.Cache.LookupSpread(architecture))
}

// either returns for each task the cached value of the network or of the architecture as
// given, the one that the task depends on; nil for nothing.
func (m *Model) either(own, given []float64) []float64 {
	if own == nil && given == nil {
		return nil
	}
	out := make([]float64, len(m.Tasks))
	for t := range out {
		from := own
		if m.Tasks[t].OfArchitecture() {
			from = given
		}
		out[t] = math.NaN()
		if from != nil {
			out[t] = from[t]
		}
	}
	return out
}

// At is Calibration.At for a score and spread of a network that the model remembers, or
// does not.
func (t *Task) At(score, spread float64, known bool) (value, low, high, percentile float64) {
	value, low, high, percentile = t.Calibration.At(score, spread)
	if !known && t.Unseen != nil {
		value, low, high, _ = t.Unseen.At(score, spread)
	}
	return value, low, high, percentile
}

// Top returns the probability that a network at a percentile of the model's networks is
// among the best 1 % of them. NaN: a model from before answers carried it.
func (t *Task) Top(percentile float64, known bool) float64 {
	if !known && t.Unseen != nil {
		return t.Unseen.TopAt(percentile)
	}
	return t.Calibration.TopAt(percentile)
}

// Told returns the number of labels of the task, the predictive standard deviation of the
// value at a score of that spread, and the probability that a training fails; NaN for
// those that an older model lacks.
func (t *Task) Told(score, spread float64, known bool) (labels, sd, fails float64) {
	c := &t.Calibration
	if !known && t.Unseen != nil {
		c = t.Unseen
	}
	labels, sd, fails = math.NaN(), c.SD(score, spread), math.NaN()
	if t.Calibration.Deviation != nil {
		labels = float64(t.Labels)
	}
	if t.Failures != nil {
		fails = t.Failures.Probability(score)
	}
	return labels, sd, fails
}

// Head is a column of a member.
type Head struct {
	Member int `json:"member"`
	Column int `json:"column"`
}

// NewModel returns a model after checking that its tasks name heads that exist.
func NewModel(space string, version int64, members []*Member, tasks []Task) (*Model, error) {
	m := &Model{Space: space, Version: version, Members: members, Tasks: tasks}
	for _, t := range tasks {
		if t.Name == "" || len(t.Heads) == 0 {
			return nil, fmt.Errorf("model %s/%d: task %q without a name or a head", space, version, t.Name)
		}
		if t.Learnt != nil && t.Learnt.attributes == nil {
			t.Learnt.index()
		}
		for _, h := range slices.Concat(t.Heads, t.Spreads) {
			if h.Member < 0 || h.Member >= len(members) || h.Column < 0 || h.Column >= members[h.Member].columns() {
				return nil, fmt.Errorf("model %s/%d: task %q names column %d of member %d, which does not exist", space, version, t.Name, h.Column, h.Member)
			}
		}
		for _, c := range []*calibration.Map{&t.Calibration, t.Unseen} {
			if c == nil {
				continue
			}
			if err := c.Check(); err != nil {
				return nil, fmt.Errorf("model %s/%d: task %q: %w", space, version, t.Name, err)
			}
		}
	}
	return m, nil
}

// dimension returns the length of the model's embedding, that of its first
// member; 0 without members.
func (m *Model) dimension() int {
	if len(m.Members) == 0 {
		return 0
	}
	return m.Members[0].dimension()
}

// Answers are scores of a Predict; they are overwritten by the next one with
// the same workspace.
type Answers struct {
	Score     [][]float64 // [task][row], more is better
	Spread    [][]float64 // [task][row], how unsure the score is, NaN where not known
	Embedding []float32   // [row, Dimension], empty unless asked for
}

// Workspace is the memory of Predict, for one caller at a time. It serves any
// number of models in turn.
type Workspace struct {
	// Embeddings asks for the embeddings too.
	Embeddings bool

	pool    *workerPool
	workers []predictWorker
	ends    []int
	answers Answers
	model   *Model
	graphs  *schemas.Graphs
	order   []int // places in the call's rows, similar graphs together
	rows    []int // in that order
	keys    []uint64
	part    func(i, worker int)
}

// predictWorker is the memory of one goroutine.
type predictWorker struct {
	inference
	heads [][]float32 // [member], [rows, columns]
}

// NewWorkspace returns a workspace whose calls use that many goroutines; 0 means as many
// as the process may.
func NewWorkspace(cores int) *Workspace {
	w := &Workspace{pool: newWorkerPool(cores, 0)}
	w.part = w.predictPart
	return w
}

// Predict scores the graphs of g that rows names. The answer for a graph
// depends on the graph and the model alone, to the bit: not on its batch, the
// order of rows or the number of cores.
func (m *Model) Predict(w *Workspace, g *schemas.Graphs, rows []int) *Answers {
	a := &w.answers
	a.Score, a.Spread = resized(a.Score, len(m.Tasks)), resized(a.Spread, len(m.Tasks))
	for t := range a.Score {
		a.Score[t], a.Spread[t] = resized(a.Score[t], len(rows)), resized(a.Spread[t], len(rows))
	}
	a.Embedding = a.Embedding[:0]
	if w.Embeddings {
		a.Embedding = resized(a.Embedding, len(rows)*m.dimension())
	}
	if len(m.Members) == 0 {
		return a
	}
	w.order, w.keys = similar(w.order, w.keys, m.Members[0].network.vocabulary, g, rows)
	w.rows = w.rows[:0]
	for _, r := range w.order {
		w.rows = append(w.rows, rows[r])
	}
	w.model, w.graphs = m, g
	w.ends = cut(w.ends[:0], m.largest(), g, w.rows)
	for len(w.workers) < w.pool.workers(len(w.ends)) {
		w.workers = append(w.workers, predictWorker{})
	}
	w.pool.run(len(w.ends), w.part)
	w.model, w.graphs = nil, nil
	return a
}

// largest returns the encoder that keeps the most for a node.
func (m *Model) largest() encoder {
	most := m.Members[0].network.encoder
	for _, member := range m.Members[1:] {
		if member.network.encoder.keeps() > most.keeps() {
			most = member.network.encoder
		}
	}
	return most
}

func (w *Workspace) predictPart(i, worker int) {
	m, f := w.model, &w.workers[worker]
	from, to := 0, w.ends[i]
	if i > 0 {
		from = w.ends[i-1]
	}
	rows := w.rows[from:to]
	for len(f.heads) < len(m.Members) {
		f.heads = append(f.heads, nil)
	}
	for j, member := range m.Members {
		z, head := f.output(member.network, member.weights, member.table, 0, w.graphs, rows)
		f.heads[j] = append(f.heads[j][:0], head...)
		if j == 0 && w.Embeddings {
			d := m.dimension()
			for r, at := range w.order[from:to] {
				copy(w.answers.Embedding[at*d:(at+1)*d], z[r*d:])
			}
		}
	}
	for t := range m.Tasks {
		m.average(w.answers.Score[t], m.Tasks[t].Heads, f.heads, w.order[from:to])
		m.average(w.answers.Spread[t], m.Tasks[t].Spreads, f.heads, w.order[from:to])
	}
}

// average writes the mean of heads, NaN of none, to the places at of dst, given the
// members' outputs [member][row, column].
func (m *Model) average(dst []float64, heads []Head, outputs [][]float32, at []int) {
	for r, place := range at {
		sum := 0.
		for _, h := range heads {
			member := m.Members[h.Member]
			sum += member.score(outputs[h.Member][r*member.columns()+h.Column], h.Column)
		}
		dst[place] = sum / float64(len(heads))
	}
}
