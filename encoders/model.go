package encoders

import (
	"fmt"

	"archflow/schemas"
)

// Model is what is served for one space: members, and for every task the heads
// whose mean score orders its architectures and the calibration that turns
// scores into values. It is immutable and safe for concurrent use.
type Model struct {
	Space   string
	Version int64
	Members []*Member
	Tasks   []Task
}

// Task is something that labels of the space measure.
type Task struct {
	Name        string      `json:"name"`
	Minimise    bool        `json:"minimise,omitempty"` // less is better
	Labels      int         `json:"labels"`             // that the heads were fitted to
	Heads       []Head      `json:"heads"`
	Calibration Calibration `json:"calibration"`
}

// Head is a column of a member.
type Head struct {
	Member int `json:"member"`
	Column int `json:"column"`
}

// NewModel returns a model after checking that its tasks name heads that exist.
func NewModel(space string, version int64, members []*Member, tasks []Task) (*Model, error) {
	m := &Model{space, version, members, tasks}
	for _, t := range tasks {
		if t.Name == "" || len(t.Heads) == 0 {
			return nil, fmt.Errorf("model %s/%d: task %q without a name or a head", space, version, t.Name)
		}
		for _, h := range t.Heads {
			if h.Member < 0 || h.Member >= len(members) || h.Column < 0 || h.Column >= members[h.Member].Columns() {
				return nil, fmt.Errorf("model %s/%d: task %q names column %d of member %d, which does not exist", space, version, t.Name, h.Column, h.Member)
			}
		}
		if err := t.Calibration.check(); err != nil {
			return nil, fmt.Errorf("model %s/%d: task %q: %w", space, version, t.Name, err)
		}
	}
	return m, nil
}

// Dimension returns the length of the model's embedding, that of its first
// member; 0 without members.
func (m *Model) Dimension() int {
	if len(m.Members) == 0 {
		return 0
	}
	return m.Members[0].Dimension()
}

// Answers are scores of a Predict; they are overwritten by the next one with
// the same workspace.
type Answers struct {
	Score     [][]float64 // [task][row], more is better
	Embedding []float32   // [row, Dimension], empty unless asked for
}

// Workspace is the memory of Predict, for one caller at a time. It serves any
// number of models in turn.
type Workspace struct {
	// Embeddings asks for the embeddings too.
	Embeddings bool

	team    *team
	parts   []predictPart
	answers Answers
	model   *Model
	graphs  *schemas.Graphs
	rows    []int
	part    func(int)
}

// predictPart is the memory of one chunk of rows.
type predictPart struct {
	inference
	head [][]float32 // [member], [rows, columns]
}

// NewWorkspace returns a workspace whose calls use so many goroutines; 0 means
// as many as the process may.
func NewWorkspace(cores int) *Workspace {
	w := &Workspace{team: newTeam(cores)}
	w.part = w.predictPart
	return w
}

// Predict scores the graphs of g that rows names. The answer for a graph
// depends on the graph and the model alone, to the bit: not on its batch, the
// order of rows or the number of cores.
func (m *Model) Predict(w *Workspace, g *schemas.Graphs, rows []int) *Answers {
	a := &w.answers
	a.Score = resized(a.Score, len(m.Tasks))
	for t := range a.Score {
		a.Score[t] = resized(a.Score[t], len(rows))
	}
	a.Embedding = a.Embedding[:0]
	if w.Embeddings {
		a.Embedding = resized(a.Embedding, len(rows)*m.Dimension())
	}
	w.model, w.graphs, w.rows = m, g, rows
	parts := (len(rows) + chunk - 1) / chunk
	for len(w.parts) < parts {
		w.parts = append(w.parts, predictPart{})
	}
	w.team.run(parts, w.part)
	w.model, w.graphs, w.rows = nil, nil, nil
	return a
}

func (w *Workspace) predictPart(i int) {
	m, p := w.model, &w.parts[i]
	from, to := i*chunk, min((i+1)*chunk, len(w.rows))
	rows := w.rows[from:to]
	p.head = resized(p.head, len(m.Members))
	for j, member := range m.Members {
		p.head[j] = resized(p.head[j], len(rows)*member.Columns())
		z := p.output(member.network, member.weights, member.table, p.head[j], 0, w.graphs, rows)
		if j == 0 && w.Embeddings {
			copy(w.answers.Embedding[from*m.Dimension():to*m.Dimension()], z)
		}
	}
	for t := range m.Tasks {
		heads, scores := m.Tasks[t].Heads, w.answers.Score[t][from:to]
		for r := range scores {
			sum := 0.
			for _, h := range heads {
				member := m.Members[h.Member]
				sum += member.score(p.head[h.Member][r*member.Columns()+h.Column], h.Column)
			}
			scores[r] = sum / float64(len(heads))
		}
	}
}
