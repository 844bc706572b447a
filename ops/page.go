package ops

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"archflow/internal/finite"
)

//go:embed page/page.html page/page.css page/*.js
var pageFiles embed.FS

// page is the live page in one piece: the style and the scripts are written
// into the HTML, so that it needs nothing but itself.
var page = sync.OnceValue(func() []byte {
	read := func(name string) string {
		b, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic(err) // the file is part of the binary
		}
		return string(b)
	}
	var scripts strings.Builder
	for _, name := range []string{"draw.js", "charts.js", "page.js", "search.js"} {
		scripts.WriteString(read(name))
	}
	return []byte(strings.NewReplacer("/*style*/", read("page.css"), "/*script*/", scripts.String()).Replace(read("page.html")))
})

func servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	// The client may have gone: nobody could get an error.
	_, _ = w.Write(page())
}

// feed holds the latest State and wakes those who wait for the next one.
type feed struct {
	mu      sync.Mutex
	state   *State
	json    []byte        // of state, made when somebody asks
	changed chan struct{} // closed by the next Publish
}

// Publish shows s on the page from now on. It keeps s, which must not be
// changed any more, and costs next to nothing while nobody looks.
func (s *Server) Publish(state State) {
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.json = &state, nil
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// latest returns the state as JSON and a channel that closes when there is a
// newer one. Nil before the first.
func (f *feed) latest() ([]byte, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	if f.json == nil && f.state != nil {
		var err error
		if f.json, err = finite.Marshal(f.state); err != nil {
			return nil, f.changed, fmt.Errorf("the state could not be written as JSON: %w", err)
		}
	}
	return f.json, f.changed, nil
}

func (s *Server) serveState(w http.ResponseWriter, _ *http.Request) {
	body, _, err := s.feed.latest()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case body == nil:
		http.Error(w, "starting: nothing to show yet", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

// serveEvents streams the states as server-sent events until the client or the
// server goes. A client that is slow misses states, never the latest.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, fmt.Sprintf("%d pages are open already: close one", maxStreams), http.StatusServiceUnavailable)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must pass events on at once
	send := func(text string, body []byte) bool {
		// The server has no write timeout, because profiles take their time.
		if control.SetWriteDeadline(time.Now().Add(10*time.Second)) != nil {
			return false
		}
		for _, part := range [][]byte{[]byte(text), body, []byte("\n\n")} {
			if _, err := w.Write(part); err != nil {
				return false
			}
		}
		return control.Flush() == nil
	}
	if !send("retry: 1000", nil) {
		return
	}
	pulse := time.NewTicker(15 * time.Second)
	defer pulse.Stop()
	for {
		body, changed, err := s.feed.latest()
		if err != nil {
			s.log.Warn("the live page cannot be fed", "error", err)
			if !send("event: unreadable\ndata: ", []byte(strings.ReplaceAll(err.Error(), "\n", " "))) {
				return
			}
		}
		if body != nil && !send("data: ", body) {
			return
		}
	wait:
		for {
			select {
			case <-changed:
				break wait
			case <-pulse.C:
				if !send(": still here", nil) {
					return
				}
			case <-r.Context().Done():
				return
			case <-s.done:
				return
			}
		}
	}
}

// Answer is the answer of /api/paste to a pasted candidate: its prediction, or the
// reason for which it would become a dead letter; and its drawing when it could be read.
type Answer struct {
	Prediction json.RawMessage `json:"prediction,omitempty"` // the message on the predictions topic
	Cells      []Cell          `json:"cells,omitempty"`
	Class      string          `json:"class,omitempty"` // of the rejection
	Reason     string          `json:"reason,omitempty"`
}

// PredictFunc answers one candidate, given as the JSON of the architectures topic,
// without publishing anything. An error means that no answer can be given now; a
// candidate that is refused is an Answer.
type PredictFunc func(ctx context.Context, candidate []byte) (Answer, error)

type predictor struct {
	mu sync.RWMutex
	f  PredictFunc
}

// Predict sets who answers pasted candidates.
func (s *Server) Predict(f PredictFunc) {
	s.predict.mu.Lock()
	s.predict.f = f
	s.predict.mu.Unlock()
}

const maxPasted = 1 << 20 // bytes of a candidate

func (s *Server) servePaste(w http.ResponseWriter, r *http.Request) {
	// A form of another site cannot send this type without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "send the candidate with Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPasted))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "the candidate is larger than 1 MiB", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, fmt.Sprintf("the candidate could not be read: %v", err), http.StatusBadRequest)
		return
	}
	s.predict.mu.RLock()
	f := s.predict.f
	s.predict.mu.RUnlock()
	if f == nil {
		http.Error(w, "this process answers no candidates: ask one with the role all or worker, once it is ready", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	answer, err := f(ctx, body)
	if err != nil {
		http.Error(w, fmt.Sprintf("no answer: %v", err), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}
