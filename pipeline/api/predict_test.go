package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/stages"
)

// noModel answers every version with a generation without models.
type noModel struct{}

func (noModel) ModelSet(context.Context, int64) (*stages.ModelSet, error) {
	return &stages.ModelSet{Version: 1}, nil
}

func options() Options {
	flows := stages.NewFlows(1)
	return Options{Models: noModel{}, Stages: func() []stages.Stage {
		return []stages.Stage{stages.NewDecode(schemas.Limits{}), stages.NewSurrogate(flows), stages.NewPredict(noModel{}, false)}
	}}
}

// post returns the status, the type and the body of an answer.
func post(t *testing.T, h http.Handler, target, kind, body string, headers ...string) (int, string, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

func candidate(i int) string {
	return fmt.Sprintf(`{"space":"dag","id":%d,"ops":["input","a,]}\"%d","output"],"edges":[[0,1],[1,2]]}`, i, i%7)
}

// TestRequestForms asks for the same candidates in every form and size: the answers are the
// same, in order, and a rejected one is in its place.
func TestRequestForms(t *testing.T) {
	s := New(options())
	for _, n := range []int{1, 2, rowsOfBatch, rowsOfBatch + 1, 3*rowsOfBatch - 1} {
		var list, want []string
		for i := range n {
			one := candidate(i)
			if i%50 == 49 {
				one = `{"space":"dag","ops":["a","b"],"edges":[[0,1],[1,0]]}`
			}
			list = append(list, one)
			status, _, body := post(t, s, "/api/predict", typeJSON, one)
			if want = append(want, strings.TrimSpace(body)); (status == http.StatusOK) != (i%50 != 49) {
				t.Fatalf("candidate %d: %d %s", i, status, body)
			}
		}
		status, kind, body := post(t, s, "/api/predict", typeLines, strings.Join(list, "\r\n\n")+"\n")
		if got := strings.Split(strings.TrimSpace(body), "\n"); status != http.StatusOK || kind != typeLines || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%d lines: %d %s %d answers", n, status, kind, len(got))
		}
		status, kind, body = post(t, s, "/api/predict", typeJSON, " [ "+strings.Join(list, " ,\n")+" ] ")
		if status != http.StatusOK || kind != typeJSON || body != "["+strings.Join(want, ",")+"]\n" || !json.Valid([]byte(body)) {
			t.Fatalf("an array of %d: %d %s", n, status, kind)
		}
	}
	_, _, body := post(t, s, "/api/predict", typeJSON, candidate(3))
	p, err := schemas.ParsePrediction([]byte(body))
	if err != nil || string(p.ID) != "3" || p.Reason == "" || strings.Contains(body, "source") {
		t.Errorf("%s: %v", body, err)
	}
	if status, _, body := post(t, s, "/api/predict", typeJSON, "[]"); status != http.StatusOK || body != "[]\n" {
		t.Errorf("none: %d %s", status, body)
	}
}

// TestRefusals sends requests that cannot be answered: each gets the fault, a class and
// a cure.
func TestRefusals(t *testing.T) {
	s := New(options())
	trainer := New(Options{})
	for _, c := range []struct {
		to            *Server
		target        string
		kind, body    string
		status        int
		class, phrase string
	}{
		{s, "/api/predict", "text/plain", "{}", 415, ClassContentType, "text/plain"},
		{s, "/api/predict", typeJSON, " ", 400, schemas.ClassEmpty, "empty"},
		{s, "/api/predict", typeLines, "\n\n", 400, schemas.ClassEmpty, "empty"},
		{s, "/api/predict", typeJSON, "[{}", 400, schemas.ClassJSON, "does not end"},
		{s, "/api/predict", typeJSON, "[{},]", 400, schemas.ClassJSON, "no element"},
		{s, "/api/predict", typeJSON, "[,{}]", 400, schemas.ClassJSON, "no element"},
		{s, "/api/predict", typeJSON, "[{}] x", 400, schemas.ClassJSON, "followed"},
		{s, "/api/predict", typeJSON, "[{}}]", 400, schemas.ClassJSON, "}"},
		{s, "/api/predict", typeJSON, "nonsense", 400, schemas.ClassJSON, ""},
		{s, "/api/predict", typeJSON, `{"ops":[]}`, 400, schemas.ClassMissingField, "space"},
		{s, "/api/predict", typeLines, strings.Repeat("{}\n", MaxElements+1), 413, schemas.ClassTooLarge, "elements"},
		{s, "/api/predict", typeJSON, "[" + strings.Repeat("0,", MaxElements+1) + "0]", 413, schemas.ClassTooLarge, "elements"},
		{s, "/api/predict", typeJSON, strings.Repeat(" ", MaxBody+1), 413, schemas.ClassTooLarge, "bytes"},
		{s, "/api/predict?learnt=x", typeJSON, candidate(1), 400, ClassParameter, "learnt"},
		{s, "/api/predict?learnt=0:1,1:-3", typeJSON, candidate(1), 400, ClassParameter, "learnt"},
		{s, "/api/predict?learnt=4&wait=1h", typeJSON, candidate(1), 400, ClassParameter, "wait"},
		{s, "/api/nothing", typeJSON, "{}", 404, ClassNotFound, "/api/nothing"},
		{trainer, "/api/predict", typeJSON, candidate(1), 501, ClassRole, "trains"},
	} {
		status, kind, body := post(t, c.to, c.target, c.kind, c.body)
		var e Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || kind != typeJSON || status != c.status || e.Class != c.class || !strings.Contains(e.Message, c.phrase) || e.Cure == "" {
			t.Errorf("%s %.20q: %d %s, want %d %s with %q", c.target, c.body, status, body, c.status, c.class, c.phrase)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/predict", http.NoBody))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
}

// TestRequestsWaitForRoom: requests whose bodies do not fit together wait, and one that has waited too
// long is refused and may come again.
func TestRequestsWaitForRoom(t *testing.T) {
	s := New(options())
	s.patience = 1
	if !s.room.TryAcquire(roomForBodies) {
		t.Fatal("no room")
	}
	if status, _, body := post(t, s, "/api/predict", typeJSON, candidate(1)); status != http.StatusServiceUnavailable || !strings.Contains(body, ClassBusy) {
		t.Errorf("%d %s", status, body)
	}
	s.room.Release(roomForBodies)
	s.patience = time.Minute
	if status, _, body := post(t, s, "/api/predict", typeJSON, candidate(1)); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

// BenchmarkPredictLines answers 20,000 candidates that no model knows: the cost of the
// server beside inference.
func BenchmarkPredictLines(b *testing.B) {
	s := New(options())
	const n = 20_000
	var body strings.Builder
	for i := range n {
		body.WriteString(candidate(i))
		body.WriteByte('\n')
	}
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/predict", strings.NewReader(body.String()))
		r.Header.Set("Content-Type", typeLines)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "candidates/s")
}

// counts is a Meter.
type counts struct {
	requests map[string]int
	rejected map[string]int
}

func (c *counts) Request(_ context.Context, route string, status int, took time.Duration) {
	c.requests[fmt.Sprint(route, " ", status, " ", took > 0)]++
}
func (c *counts) Rejected(class string, n int) { c.rejected[class] += n }

// TestMeter counts requests by route and status, and rejections by class, an element
// alone no more than once.
func TestMeter(t *testing.T) {
	o := options()
	c := &counts{requests: map[string]int{}, rejected: map[string]int{}}
	o.Meter = c
	s := New(o)
	broken := `{"space":"dag","ops":["a","b"],"edges":[[0,1],[1,0]]}`
	post(t, s, "/api/predict", typeJSON, candidate(1))
	post(t, s, "/api/predict", typeJSON, broken)
	post(t, s, "/api/predict", typeLines, strings.Join([]string{candidate(1), broken, broken, candidate(2)}, "\n"))
	post(t, s, "/api/labels", typeJSON, `{}`)
	want := map[string]int{"POST /api/predict 200 true": 2, "POST /api/predict 400 true": 1, "POST /api/labels 501 true": 1}
	if !maps.Equal(c.requests, want) {
		t.Errorf("requests %v, want %v", c.requests, want)
	}
	if want := map[string]int{schemas.ClassCycle: 3, ClassRole: 1}; !maps.Equal(c.rejected, want) {
		t.Errorf("rejected %v, want %v", c.rejected, want)
	}
}
