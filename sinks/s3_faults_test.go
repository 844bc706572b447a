package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// illStore is an object store that knows PUT, with a condition, and GET, and
// answers the next requests with a status instead.
type illStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	status  int
	left    atomic.Int64 // requests to be answered so
	kept    bool         // a PUT is obeyed all the same
	deaf    bool         // a PUT's condition is ignored
}

func (s *illStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
		if _, after, ok := bytes.Cut(body, []byte("\r\n")); ok { // one chunk and its trailer
			body, _, _ = bytes.Cut(after, []byte("\r\n0;"))
			body, _, _ = bytes.Cut(body, []byte("\r\n0\r\n"))
		}
	}
	fault := s.left.Add(-1) >= 0
	if fault && !s.kept {
		s.refuse(w)
		return
	}
	switch r.Method {
	case http.MethodPut:
		if _, there := s.objects[r.URL.Path]; there && !s.deaf && r.Header.Get("If-None-Match") == "*" {
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `<Error><Code>PreconditionFailed</Code></Error>`)
			return
		}
		s.objects[r.URL.Path] = body
		if fault {
			s.refuse(w)
			return
		}
		w.Header().Set("ETag", `"1"`)
	case http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		data, there := s.objects[r.URL.Path]
		if !there {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
			return
		}
		_, _ = w.Write(data)
	}
}

func (s *illStore) refuse(w http.ResponseWriter) {
	w.WriteHeader(s.status)
	fmt.Fprint(w, `<Error><Code>SlowDown</Code><Message>reduce your request rate</Message></Error>`)
}

func openIll(t *testing.T) (*illStore, Bucket) {
	t.Helper()
	store := &illStore{objects: map[string][]byte{}}
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "user")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "password")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	b, err := OpenBucket(t.Context(), "s3://ill?region=us-east-1&use_path_style=true&endpoint="+server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return store, b
}

// TestStoreAnswers5xx: an object store that answers 500 or 503 for a moment is
// asked again; one that goes on so ends the session with a sentence that names
// the place, and the next session may go well. An object that was stored although
// the answer said otherwise is found there, not written twice.
func TestStoreAnswers5xx(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			store, b := openIll(t)
			store.status = status
			store.left.Store(1)
			if err := b.Create(t.Context(), "a", []byte("1")); err != nil {
				t.Error("one bad answer: ", err)
			}
			store.left.Store(1)
			if data, err := b.Read(t.Context(), "a"); err != nil || string(data) != "1" {
				t.Errorf("one bad answer: %q, %v", data, err)
			}
			if status == http.StatusServiceUnavailable { // for once: it takes its time
				store.left.Store(1 << 40)
				err := b.Create(t.Context(), "b", []byte("2"))
				if err == nil || !Recoverable(err) || !strings.Contains(err.Error(), "store b in s3://ill") {
					t.Errorf("bad answers without end: passing %v: %v", Recoverable(err), err)
				}
			}
			store.kept = true
			store.left.Store(1)
			err := b.Create(t.Context(), "c", []byte("3"))
			if !errors.Is(err, fs.ErrExist) {
				t.Errorf("stored, but the answer was bad: %v", err)
			}
			store.left.Store(0)
			if data, err := b.Read(t.Context(), "c"); err != nil || string(data) != "3" {
				t.Errorf("stored, but the answer was bad: %q, %v", data, err)
			}
		})
	}
}
