package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// An operator's choices about the model that answers for a space.
const (
	ChoosePromote  = "promote"   // let the named model answer and pin it
	ChooseRollBack = "roll-back" // the same with the model before the present one
	ChooseRelease  = "release"   // follow the trainer again
)

// ModelChoice is the body of a POST to /api/models.
type ModelChoice struct {
	Space string `json:"space"`
	Do    string `json:"do"`
	Model string `json:"model,omitempty"` // for promote, such as nb201/17
}

// Why a choice can be impossible.
var (
	ErrUnknown  = errors.New("not found")
	ErrConflict = errors.New("not possible now")
)

// ChooseFunc carries out an operator's choice and returns the state of the model that
// answers from then on. It wraps ErrUnknown and ErrConflict.
type ChooseFunc func(ctx context.Context, c ModelChoice) (ModelState, error)

type chooser struct {
	mu sync.RWMutex
	f  ChooseFunc
}

// Models sets the function that carries out operators' choices.
func (s *Server) Models(f ChooseFunc) {
	s.choose.mu.Lock()
	s.choose.f = f
	s.choose.mu.Unlock()
}

func (s *Server) serveModels(w http.ResponseWriter, r *http.Request) {
	// A form of another site cannot send this type without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "send the choice with Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<12))
	if err != nil {
		http.Error(w, fmt.Sprintf("the choice could not be read: %v", err), http.StatusBadRequest)
		return
	}
	var c ModelChoice
	if err := json.Unmarshal(body, &c); err != nil {
		http.Error(w, fmt.Sprintf("the choice is not JSON: %v", err), http.StatusBadRequest)
		return
	}
	switch {
	case c.Space == "":
		err = errors.New(`"space" is missing`)
	case c.Do != ChoosePromote && c.Do != ChooseRollBack && c.Do != ChooseRelease:
		err = fmt.Errorf(`"do": %q: want %s, %s or %s`, c.Do, ChoosePromote, ChooseRollBack, ChooseRelease)
	case (c.Do == ChoosePromote) != (c.Model != ""):
		err = fmt.Errorf(`"model" names the model to %s, and nothing else takes one`, ChoosePromote)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.choose.mu.RLock()
	f := s.choose.f
	s.choose.mu.RUnlock()
	if f == nil {
		http.Error(w, "this process has not reached its store yet: ask again once it is ready", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	now, err := f(ctx, c)
	switch {
	case errors.Is(err, ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrConflict):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		writeJSON(w, http.StatusOK, now)
	}
}
