package ops

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// TestPanicCostsItsRequest: a handler that panics is answered with 500, the log has it,
// and other requests go on.
func TestPanicCostsItsRequest(t *testing.T) {
	var log bytes.Buffer
	s, url := serve(t, func(o *ServerOptions) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.API(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no such thing") }))
	if status, body := ask(t, "GET", url+"/api/best", ""); status != http.StatusInternalServerError || !strings.Contains(body, `"class":"internal"`) || strings.Contains(body, "no such thing") {
		t.Errorf("status %d: %s", status, body)
	}
	if !strings.Contains(log.String(), "no such thing") || !strings.Contains(log.String(), "/api/best") || !strings.Contains(log.String(), "panics_test.go") {
		t.Errorf("the log has %s", log.String())
	}
	if status, _ := ask(t, "GET", url+"/livez", ""); status != http.StatusOK {
		t.Errorf("the next request: status %d", status)
	}
}
