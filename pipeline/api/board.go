package api

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"

	"archflow/ops"
	"archflow/schemas"
)

// board is the page's view of a search: one task of one space.
type board struct {
	Space    string       `json:"space"`
	Task     string       `json:"task"`
	Tasks    []string     `json:"tasks"`    // of the space
	Minimise bool         `json:"minimise"` // less of the task is better
	Model    *string      `json:"model"`
	Networks int          `json:"networks"` // known
	Labels   int          `json:"labels"`   // networks with a value of the task
	Best     []onBoard    `json:"best"`     // by the newest model, one a network
	Found    []onBoard    `json:"found,omitempty"`
	Progress [][2]float64 `json:"progress"` // number of labels, best of them
	Front    *boardFront  `json:"front,omitempty"`
}

// onBoard is a candidate with its drawing.
type onBoard struct {
	Candidate json.RawMessage `json:"candidate"` // as ask and best give it
	Cells     []ops.Cell      `json:"cells"`
	Trace     string          `json:"trace,omitempty"` // of its publisher, hexadecimal
}

// boardFront is two tasks against each other.
type boardFront struct {
	Tasks     [2]string    `json:"tasks"`
	Minimise  [2]bool      `json:"minimise"`
	Predicted [][2]float64 `json:"predicted"` // of the networks that none is known or predicted to be better than
	Trained   [][2]float64 `json:"trained"`   // of networks with labels of both
}

const (
	maxPoints = 300 // of a plot
	maxBoard  = 50  // candidates
)

// serveBoard answers with the state of a search: of the task, or of the space's first if
// none is named, and of another beside it.
func (s *Server) serveBoard(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	k, err := count(q, "k", 12)
	if err != nil {
		return err
	}
	return s.onView(r, q.Get("space"), func(v *view) error {
		names := v.names()
		b := board{Space: q.Get("space"), Task: q.Get("task"), Tasks: names, Networks: len(v.entries), Progress: [][2]float64{}, Best: []onBoard{}}
		if b.Task == "" && len(names) > 0 {
			b.Task = names[0]
		}
		if b.Tasks == nil {
			b.Tasks = []string{}
		}
		if b.Task != "" {
			if err := v.checkTask(b.Task); err != nil {
				return err
			}
			b.Minimise = v.minimise(b.Task)
			b.Labels, b.Progress = v.progress(b.Task)
			if b.Best, err = s.drawn(r.Context(), v, v.best(slices.Clone(v.entries), b.Task, min(k, maxBoard))); err != nil {
				return err
			}
		}
		if other := q.Get("with"); other != "" && b.Task != "" {
			if err := v.checkTask(other); err != nil {
				return err
			}
			b.Front = v.frontOf(b.Task, other)
		}
		if id := q.Get("id"); id != "" {
			if b.Found, err = s.drawn(r.Context(), v, v.find(id)); err != nil {
				return err
			}
		}
		if v.model != "" {
			b.Model = &v.model
		}
		writeJSON(w, http.StatusOK, b)
		return nil
	})
}

// find returns the network of a candidate's id, or of a hash.
func (v *view) find(id string) []*entry {
	if of := v.byID[id]; of.entry != nil {
		return []*entry{of.entry}
	}
	if hash, err := schemas.ParseID(id); err == nil {
		for _, known := range []map[schemas.ID]*entry{v.byArchitecture, v.byNetwork} {
			if e := known[hash]; e != nil {
				return []*entry{e}
			}
		}
	}
	return nil
}

// progress returns how many networks have a value of a task, and the best value
// after each that was better than all before, and after the last.
func (v *view) progress(task string) (labels int, best [][2]float64) {
	type point struct {
		number int64
		value  float64
	}
	var all []point
	for _, e := range v.entries {
		if value, ok := e.labels[task].value(); ok {
			all = append(all, point{e.first[task], value})
		}
	}
	slices.SortFunc(all, func(a, b point) int { return cmp.Compare(a.number, b.number) })
	best = [][2]float64{}
	for i, p := range all {
		if n := len(best); n == 0 || p.value != best[n-1][1] && (p.value < best[n-1][1]) == v.minimise(task) {
			best = append(best, [2]float64{float64(i + 1), p.value})
		}
	}
	if n := len(best); n > 0 && best[n-1][0] < float64(len(all)) {
		best = append(best, [2]float64{float64(len(all)), best[n-1][1]})
	}
	return len(all), best
}

// frontOf returns two tasks against each other. In the front a network that was
// trained stands where its labels are, any other where it is predicted to be.
func (v *view) frontOf(a, b string) *boardFront {
	f := &boardFront{Tasks: [2]string{a, b}, Minimise: [2]bool{v.minimise(a), v.minimise(b)}, Predicted: [][2]float64{}, Trained: [][2]float64{}}
	objectives := v.objectives(nil, f.Tasks[:])
	value := func(t int, x float64) float64 { // from more is better
		if objectives[t].minimise {
			return -x
		}
		return x
	}
	var points [][2]float64
	for _, e := range v.entries {
		x, one := objectives[0].measured(e)
		y, other := objectives[1].measured(e)
		if one && other {
			f.Trained = append(f.Trained, [2]float64{value(0, x), value(1, y)})
		}
		g, one := v.gainOf(e, objectives[0])
		h, other := v.gainOf(e, objectives[1])
		if sum := g.median + h.median; one && other && !math.IsNaN(sum) && !math.IsInf(sum, 0) {
			points = append(points, [2]float64{g.median, h.median})
		}
	}
	if v.task(a) >= 0 && v.task(b) >= 0 {
		for _, p := range frontOfPoints(points) {
			f.Predicted = append(f.Predicted, [2]float64{value(0, p[0]), value(1, p[1])})
		}
	}
	f.Predicted = f.Predicted[:min(len(f.Predicted), maxPoints)]
	f.Trained = f.Trained[max(len(f.Trained)-maxPoints, 0):]
	return f
}

// drawn describes entries with their drawings.
func (s *Server) drawn(ctx context.Context, v *view, list []*entry) ([]onBoard, error) {
	described, err := s.describe(ctx, v, list)
	if err != nil {
		return nil, err
	}
	out := make([]onBoard, len(list))
	d := s.decoders.Get().(*schemas.Decoder)
	defer s.decoders.Put(d)
	for i, e := range list {
		out[i] = onBoard{Candidate: described.Candidates[i], Cells: []ops.Cell{}, Trace: e.trace}
		var rows schemas.Candidates
		if d.Candidate(&rows, e.message) == nil {
			out[i].Cells = Cells(&rows.Graphs, 0)
		}
	}
	return out, nil
}
