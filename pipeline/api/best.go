package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// chosen is the answer of best, front and ask.
type chosen struct {
	Candidates []json.RawMessage `json:"candidates"` // as published, with tasks and labels
	Model      *string           `json:"model"`      // null before the first
}

// maxChosen bounds how many candidates one answer holds.
const maxChosen = 10_000

// serveBest answers with the best networks known, by the newest model.
func (s *Server) serveBest(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	k, err := count(q, "k", 10)
	if err != nil {
		return err
	}
	labelled, err := parseLabelled(q.Get("labelled"))
	if err != nil {
		return err
	}
	return s.choose(w, r, q.Get("space"), func(v *view) ([]*entry, error) {
		task, err := v.oneTask(q.Get("task"))
		if err != nil {
			return nil, err
		}
		var list []*entry
		for _, e := range v.entries {
			if labelled == nil || *labelled == e.labelled(task) {
				list = append(list, e)
			}
		}
		return v.best(list, task, k), nil
	})
}

// best returns the k entries with the highest scores of a task; without a model
// those with the best labels.
func (v *view) best(list []*entry, task string, k int) []*entry {
	t := v.task(task)
	worth := func(e *entry) float64 {
		if t >= 0 && e.scores != nil {
			return e.scores[t].score
		}
		value, ok := e.labels[task].value()
		switch {
		case !ok:
			return math.NaN()
		case v.minimise(task):
			return -value
		}
		return value
	}
	list = slices.DeleteFunc(list, func(e *entry) bool { return math.IsNaN(worth(e)) })
	slices.SortStableFunc(list, func(a, b *entry) int { return descending(worth(a), worth(b)) })
	return list[:min(k, len(list))]
}

// descending orders numbers from the largest to the smallest, NaN last.
func descending(a, b float64) int {
	switch {
	case a > b || b != b && a == a:
		return -1
	case a < b || a != a && b == b:
		return 1
	}
	return 0
}

// serveFront answers with the networks that none is better than in all tasks.
func (s *Server) serveFront(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return s.choose(w, r, q.Get("space"), func(v *view) ([]*entry, error) {
		tasks, err := v.someTasks(strings.Split(q.Get("tasks"), ","))
		if err != nil {
			return nil, err
		}
		if v.model == "" {
			return nil, nil
		}
		return v.front(tasks), nil
	})
}

// front returns the entries whose scores no other entry's dominate, the best of
// the first task first.
func (v *view) front(tasks []string) []*entry {
	places := make([]int, len(tasks))
	for i, name := range tasks {
		if places[i] = v.task(name); places[i] < 0 {
			return nil
		}
	}
	list := slices.DeleteFunc(slices.Clone(v.entries), func(e *entry) bool {
		return e.scores == nil || slices.ContainsFunc(places, func(t int) bool { return math.IsNaN(e.scores[t].score) })
	})
	slices.SortStableFunc(list, func(a, b *entry) int {
		for _, t := range places {
			if by := descending(a.scores[t].score, b.scores[t].score); by != 0 {
				return by
			}
		}
		return 0
	})
	var front []*entry
next:
	for _, e := range list {
		for _, f := range front {
			// f comes first and so is not worse in the first task that differs.
			if !slices.ContainsFunc(places, func(t int) bool { return e.scores[t].score > f.scores[t].score }) {
				continue next
			}
		}
		front = append(front, e)
	}
	return front
}

// onView calls f with a space as its newest model answers it, once that knows the
// labels that the request waits for.
func (s *Server) onView(r *http.Request, space string, f func(*view) error) error {
	if s.catalogue == nil || s.predictor == nil {
		return refuse(http.StatusNotImplemented, ClassRole, "ask a process of the group with --role all or worker", "this process keeps no catalogue")
	}
	if space == "" {
		return refuse(http.StatusBadRequest, ClassParameter, "name one, such as nb201", `"space" is missing`)
	}
	ctx := r.Context()
	wait, err := parseWait(r.URL.Query())
	if err == nil {
		err = s.await(ctx, wait, []string{space})
	}
	if err != nil {
		return err
	}
	s.catalogue.mu.Lock()
	defer s.catalogue.mu.Unlock()
	v, err := s.look(ctx, space)
	if err != nil {
		return err
	}
	return f(v)
}

// choose answers with the entries that pick returns of a space.
func (s *Server) choose(w http.ResponseWriter, r *http.Request, space string, pick func(*view) ([]*entry, error)) error {
	return s.onView(r, space, func(v *view) error {
		list, err := pick(v)
		if err != nil {
			return err
		}
		if list = list[:min(len(list), maxChosen)]; list == nil {
			list = []*entry{}
		}
		answer, err := s.describe(r.Context(), v, list)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	})
}

// describe returns candidates as they were published, with their predictions and labels.
func (s *Server) describe(ctx context.Context, v *view, list []*entry) (chosen, error) {
	out := chosen{Candidates: make([]json.RawMessage, 0, len(list))}
	if v.model != "" {
		out.Model = &v.model
	}
	messages := make([][]byte, len(list))
	for i, e := range list {
		messages[i] = e.message
	}
	predicted, err := s.predictor.answerBy(ctx, messages, v.version)
	if err != nil {
		return out, err
	}
	var texts []string
	for _, part := range predicted.parts {
		texts = append(texts, strings.Split(strings.TrimSuffix(string(part), "\n"), "\n")...)
	}
	for i, e := range list {
		var more []byte
		for name, value := range members([]byte(texts[i])) {
			switch name {
			case "architecture", "network", "tasks", "reason", "unknown":
				more = fmt.Appendf(more, "%q:%s,", name, value)
			}
		}
		if labels := e.labelsJSON(); labels != nil {
			more = fmt.Appendf(more, `"labels":%s,`, labels)
		}
		more = more[:max(len(more)-1, 0)]
		out.Candidates = append(out.Candidates, rewrite(e.message, isCandidates, more))
	}
	return out, nil
}

// isCandidates reports whether a member belongs to a candidate and not to its results:
// rows of benchmark tables hold labels too.
func isCandidates(name string) bool {
	switch name {
	case "architecture", "network", "tasks", "reason", "unknown", "labels":
		return false
	}
	return true
}

// labelsJSON returns the values of the tasks that an entry was trained for, nil
// without any.
func (e *entry) labelsJSON() []byte {
	values := map[string]float64{}
	for task, r := range e.labels {
		if value, ok := r.value(); ok {
			values[task] = value
		}
	}
	if len(values) == 0 {
		return nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil // labels are finite
	}
	return text
}

// oneTask checks the name of a task; a space with one task needs none.
func (v *view) oneTask(name string) (string, error) {
	names := v.names()
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", refuse(http.StatusBadRequest, ClassParameter, "name one of "+list(names), `"task" is missing`)
	}
	return name, v.checkTask(name)
}

func (v *view) checkTask(name string) error {
	if names := v.names(); !slices.Contains(names, name) {
		return refuse(http.StatusNotFound, ClassNotFound, "publish a label of it first; known are "+list(names), "no task %.80q of this space is known", name)
	}
	return nil
}

// someTasks checks the names of several tasks.
func (v *view) someTasks(names []string) ([]string, error) {
	if len(names) < 2 {
		return nil, refuse(http.StatusBadRequest, ClassParameter, "name two or more of "+list(v.names())+", separated by commas", `"tasks" names fewer than two`)
	}
	if twice := repeats(names); twice != "" {
		return nil, refuse(http.StatusBadRequest, ClassParameter, "name each task once", "task %.80q comes twice", twice)
	}
	for _, name := range names {
		if err := v.checkTask(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// count reads a number of candidates.
func count(q url.Values, name string, otherwise int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxChosen {
		return 0, refuse(http.StatusBadRequest, ClassParameter, fmt.Sprintf("write a number from 1 to %d", maxChosen), "%s=%.60q is none", name, text)
	}
	return n, nil
}

func parseLabelled(text string) (*bool, error) {
	if text == "" {
		return nil, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, ClassParameter, "write true, false or nothing for both", "labelled=%.60q is neither", text)
	}
	return &b, nil
}
