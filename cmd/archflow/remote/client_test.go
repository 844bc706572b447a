package remote

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestErrorsAreSentences: an error of the API is its sentence and its cure, and another
// answer is shown as it came.
func TestErrorsAreSentences(t *testing.T) {
	for body, want := range map[string]string{
		`{"error": "no space \"x\"", "class": "not-found", "cure": "publish candidates"}`: `: no space "x"; publish candidates`,
		`bad gateway`: `: bad gateway`,
		`{"a": 1}`:    `: {"a": 1}`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(body))
		}))
		_, err := Client{Base: s.URL, HTTP: s.Client()}.Get(t.Context(), "/path")
		s.Close()
		if err == nil || !strings.HasSuffix(err.Error(), "/path"+want) {
			t.Errorf("%s\ngives %v", body, err)
		}
	}
}
