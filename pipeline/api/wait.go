package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"archflow/pipeline/decisions"
)

const (
	defaultWait = 30 * time.Second
	maxWait     = 5 * time.Minute
)

// wait is the condition of a request that waits: labels that a model has to have
// considered.
type wait struct {
	learnt map[int32]int64 // partition of the labels topic -> next offset; nil for nothing
	limit  time.Duration
}

// parseWait reads learnt=0:123,1:45 (a bare number is of partition 0) and
// wait=30s.
func parseWait(q url.Values) (wait, error) {
	w := wait{limit: defaultWait}
	if text := q.Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxWait {
			return w, refuse(http.StatusBadRequest, ClassParameter, "write a duration such as 30s, at most "+maxWait.String(), "wait=%.60q is none", text)
		}
		w.limit = d
	}
	text := q.Get("learnt")
	if text == "" {
		return w, nil
	}
	w.learnt = map[int32]int64{}
	for _, one := range strings.Split(text, ",") {
		number, offset, found := strings.Cut(one, ":")
		if !found {
			number, offset = "0", one
		}
		p, err1 := strconv.ParseInt(number, 10, 32)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if err1 != nil || err2 != nil || p < 0 || o < 0 {
			return w, refuse(http.StatusBadRequest, ClassParameter, "write PARTITION:OFFSET, separated by commas, such as the \"through\" of /api/labels has them", "learnt=%.60q is no position", text)
		}
		w.learnt[int32(p)] = o
	}
	return w, nil
}

// History holds the trainer's decisions, as far as this process has followed them.
type History interface {
	// Wait returns once the labels below learnt, next offsets by partition, have
	// been considered in each of the spaces and this process answers with the model
	// of that decision. The error is that of ctx.
	Wait(ctx context.Context, spaces []string, learnt map[int32]int64) error
	// Newest returns the decisions of a space, of all when it is "", newest first.
	Newest(space string) []decisions.Decision
}

// await returns once models have considered the labels of w in these spaces.
func (s *Server) await(ctx context.Context, w wait, spaces []string) error {
	if w.learnt == nil {
		return nil
	}
	if s.history == nil {
		return refuse(http.StatusNotImplemented, ClassRole, "ask without learnt", "this process does not follow the trainer's decisions")
	}
	waiting, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	err := s.history.Wait(waiting, spaces, w.learnt)
	if err != nil && ctx.Err() == nil {
		return refuse(http.StatusGatewayTimeout, ClassTimeout, "ask again, with a longer wait; a process with --role all or trainer has to run", "the labels were not considered within %v", w.limit)
	}
	return err
}

// spacesOf lists the spaces that candidates name.
func spacesOf(candidates [][]byte) []string {
	spaces := map[string]bool{}
	for _, c := range candidates {
		for name, value := range members(c) {
			var space string
			if name == "space" && json.Unmarshal(value, &space) == nil {
				spaces[space] = true
			}
		}
	}
	return sortedKeys(spaces)
}

// serveModels lists the trainer's decisions.
func (s *Server) serveModels(w http.ResponseWriter, r *http.Request) error {
	if s.history == nil {
		return refuse(http.StatusNotImplemented, ClassRole, "ask another process of the group", "this process does not follow the trainer's decisions")
	}
	list := s.history.Newest(r.URL.Query().Get("space"))
	if list == nil {
		list = []decisions.Decision{}
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}
