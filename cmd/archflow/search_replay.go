package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"

	"archflow/pipeline"
)

// replay runs a search on a benchmark table in this process, without topics: the
// strategies, the questions that they ask and the learner are those of a search
// through the topics, and the result is a function of table, settings and seed.
func (s *searcher) replay(ctx context.Context, c *pipeline.Config) error {
	s.server = remote{base: "http://replay", client: &http.Client{Transport: inProcess{pipeline.NewOffline(c)}}}
	known := &replayed{searcher: s, next: map[int]int64{}}
	s.results = known
	if s.asks() {
		if err := s.publish(ctx); err != nil {
			return err
		}
	}
	for len(s.trials) < s.Budget {
		places, err := s.choose(ctx, min(s.Batch, s.Budget-len(s.trials)))
		if err != nil {
			return err
		}
		if len(places) == 0 {
			return nil
		}
		first := len(s.trials)
		s.trials = append(s.trials, places...)
		for _, place := range places {
			known.next[place] = int64((len(known.next) + 1) * len(s.objectives))
		}
		if s.asks() {
			if err := s.tell(ctx, first); err != nil {
				return err
			}
		}
	}
	return nil
}

// replayed is the results of the trials so far.
type replayed struct {
	*searcher
	next map[int]int64 // of places that were trained: the offset after their label
}

func (r *replayed) of(place, objective int) float64 {
	if r.next[place] == 0 {
		return math.NaN()
	}
	return r.table[place][objective]
}

func (r *replayed) through() int64 { return int64(len(r.next) * len(r.objectives)) }

// inProcess hands requests to a handler of this process.
type inProcess struct{ http.Handler }

// RoundTrip is part of http.RoundTripper.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &reply{header: http.Header{}, status: http.StatusOK}
	p.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// reply keeps what a handler writes.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) WriteHeader(status int)      { r.status = status }
func (r *reply) Write(b []byte) (int, error) { return r.body.Write(b) }
