package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultWait = 30 * time.Second
	maxWait     = 5 * time.Minute
)

// wait is what a request waits for before it is answered: labels that a model
// has considered.
type wait struct {
	learnt map[int32]int64 // partition of the labels topic -> next offset; nil for nothing
	atMost time.Duration
}

// parseWait reads learnt=0:123,1:45 (a bare number is of partition 0) and
// wait=30s.
func parseWait(q url.Values) (wait, error) {
	w := wait{atMost: defaultWait}
	if text := q.Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxWait {
			return w, refuse(http.StatusBadRequest, ClassParameter, "write a duration such as 30s, at most "+maxWait.String(), "wait=%.60q is none", text)
		}
		w.atMost = d
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

// await returns once a model has considered what w asks for.
func (s *Server) await(ctx context.Context, w wait) error {
	if w.learnt == nil {
		return nil
	}
	return refuse(http.StatusNotImplemented, ClassRole, "ask without learnt", "this process does not follow the trainer's decisions")
}
