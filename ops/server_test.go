package ops

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

var silent = slog.New(slog.DiscardHandler)

// serve starts a server on a free port and returns its URL.
func serve(t *testing.T, change func(*ServerOptions)) (*Server, string) {
	t.Helper()
	tel := start(t, Options{})
	o := ServerOptions{Address: "127.0.0.1:0", Scrape: tel.Scrape(), Health: NewHealth(silent, tel.Metrics), Log: silent}
	if change != nil {
		change(&o)
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	_, port, err := net.SplitHostPort(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	return s, "http://127.0.0.1:" + port
}

// ask returns the status and the body of a request.
func ask(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestAddressInUseIsOneSentence(t *testing.T) {
	s, _ := serve(t, nil)
	_, err := Listen(ServerOptions{Address: s.Address(), Log: silent})
	if err == nil || !strings.Contains(err.Error(), "in use by another program: choose another address with --http") {
		t.Errorf("got %v", err)
	}
	for address, want := range map[string]string{"8099": "want HOST:PORT", "0.0.0.0:0": "needs a token", ":0": "needs a token"} {
		if _, err := Listen(ServerOptions{Address: address, Log: silent}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestTokenGuardsAllButHealth(t *testing.T) {
	_, url := serve(t, func(o *ServerOptions) { o.Address, o.Token = "0.0.0.0:0", "secret" })
	for _, path := range []string{"/", "/metrics", "/api/state", "/events", "/?token=wrong"} {
		if status, body := ask(t, "GET", url+path, ""); status != 401 || strings.Contains(body, "secret") {
			t.Errorf("%s without the token: %d %s", path, status, body)
		}
	}
	if status, _ := ask(t, "GET", url+"/livez", ""); status != 200 {
		t.Errorf("/livez: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/metrics", "", "Authorization", "Bearer secret"); status != 200 {
		t.Errorf("/metrics with the token: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/?token=secret", ""); status != 303 {
		t.Errorf("the browser's way in: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/", "", "Cookie", cookie+"=secret"); status != 200 {
		t.Errorf("/ with the cookie: %d", status)
	}
}

func TestLoopbackAnswersOnlyToItsOwnName(t *testing.T) {
	_, url := serve(t, nil)
	if status, _ := ask(t, "GET", url+"/metrics", "", "Host", "evil.example:80"); status != 403 {
		t.Errorf("a foreign name: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/metrics", "", "Host", "localhost:1234"); status != 200 {
		t.Errorf("localhost: %d", status)
	}
}

func TestPprofOnlyWhenAskedFor(t *testing.T) {
	_, without := serve(t, nil)
	_, with := serve(t, func(o *ServerOptions) { o.Pprof = true })
	if status, _ := ask(t, "GET", without+"/debug/pprof/", ""); status != 404 {
		t.Errorf("not asked for: %d", status)
	}
	if status, body := ask(t, "GET", with+"/debug/pprof/goroutine?debug=1", ""); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("asked for: %d %.80s", status, body)
	}
}

func TestHealthAnswers(t *testing.T) {
	var h *Health
	s, url := serve(t, func(o *ServerOptions) { h = o.Health })
	sink := errors.New("table s3://x cannot be written: access denied; look at the bucket's policy")
	h.Ready("table", func() error { return sink })
	h.Alive("stages", func() error { return nil })
	expect := func(path string, status int, words ...string) {
		t.Helper()
		got, body := ask(t, "GET", url+path, "")
		if got != status {
			t.Errorf("%s: %d, want %d", path, got, status)
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				t.Errorf("%s says %q without %q", path, body, w)
			}
		}
	}
	expect("/readyz", 503, "starting", "table: table s3://x cannot be written")
	expect("/livez", 200, "stages: ok")
	h.Enter(Running)
	expect("/readyz", 503)
	sink = nil
	expect("/readyz", 200, "running", "table: ok")
	h.Enter(Draining)
	h.Enter(Running) // too late
	expect("/readyz?format=json", 503, `"phase":"draining"`, `"table":"ok"`)
	expect("/livez", 200)
	if s.health != h {
		t.Error("another health")
	}
}

func TestEventsFollowStates(t *testing.T) {
	s, url := serve(t, nil)
	if status, body := ask(t, "GET", url+"/api/state", ""); status != 503 || !strings.Contains(body, "starting") {
		t.Errorf("before the first state: %d %s", status, body)
	}
	s.Publish(State{Version: "one"})
	answer, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var st State
				if err := json.Unmarshal([]byte(data), &st); err != nil {
					t.Fatal(err)
				}
				return st.Version
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	if v := next(); v != "one" {
		t.Errorf("first %s", v)
	}
	s.Publish(State{Version: "two"})
	if v := next(); v != "two" {
		t.Errorf("then %s", v)
	}
	// Shutdown in the cleanup must not wait for this open stream.
}

// TestPageNeedsNothingElse looks for anything that a browser would fetch.
func TestPageNeedsNothingElse(t *testing.T) {
	_, url := serve(t, nil)
	status, body := ask(t, "GET", url+"/", "")
	if status != 200 || !strings.Contains(body, "function drawCell") || !strings.Contains(body, "--ground") {
		t.Fatalf("the page is not whole: %d", status)
	}
	for _, outside := range []string{"http://", "https://", "//cdn", " src=", "@import", "url("} {
		if strings.Contains(body, outside) {
			t.Errorf("the page fetches something: %s", outside)
		}
	}
}

func TestPaste(t *testing.T) {
	s, url := serve(t, nil)
	post := func(body, kind string) (int, string) {
		return ask(t, "POST", url+"/api/paste", body, "Content-Type", kind)
	}
	if status, body := post("{}", "application/json"); status != 503 || !strings.Contains(body, "role") {
		t.Errorf("nobody answers: %d %s", status, body)
	}
	s.Predict(func(_ context.Context, candidate []byte) (Answer, error) {
		if string(candidate) == "down" {
			return Answer{}, errors.New("the model is being loaded")
		}
		return Answer{Prediction: candidate}, nil
	})
	if status, _ := post("{}", "text/plain"); status != 415 {
		t.Errorf("a form of another site: %d", status)
	}
	if status, _ := post(strings.Repeat(" ", maxPasted+1), "application/json"); status != 413 {
		t.Errorf("too large: %d", status)
	}
	if status, body := post("down", "application/json"); status != 503 || !strings.Contains(body, "being loaded") {
		t.Errorf("no answer: %d %s", status, body)
	}
	if status, body := post(`{"id":1}`, "application/json; charset=utf-8"); status != 200 || body != `{"prediction":{"id":1}}`+"\n" {
		t.Errorf("answer: %d %s", status, body)
	}
}

func TestAPIIsMounted(t *testing.T) {
	s, url := serve(t, func(o *ServerOptions) { o.Address, o.Token = "0.0.0.0:0", "secret" })
	if status, body := ask(t, "GET", url+"/api/best", "", "Authorization", "Bearer secret"); status != 503 || !strings.Contains(body, `"class":"starting"`) {
		t.Errorf("before it is there: %d %s", status, body)
	}
	s.API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, " ", r.URL.Path) }))
	if status, body := ask(t, "GET", url+"/api/best", "", "Authorization", "Bearer secret"); status != 200 || body != "GET /api/best" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, "GET", url+"/api/best", ""); status != 401 || !strings.Contains(body, `"class":"token"`) || !strings.Contains(body, `"cure":"send Authorization`) {
		t.Errorf("without the token: %d %s", status, body)
	}
}

func TestSystemdIsTold(t *testing.T) {
	path := t.TempDir() + "/notify"
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", "")
	m, _ := stopped(t)
	h := NewHealth(silent, m)
	read := func() string {
		b := make([]byte, 100)
		if err := socket.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	h.Enter(Running)
	if got := read(); got != "READY=1" {
		t.Errorf("got %s", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { h.Watch(ctx, time.Hour); close(ended) }()
	for range 2 {
		if got := read(); got != "WATCHDOG=1" {
			t.Errorf("got %s", got)
		}
	}
	cancel()
	<-ended
	h.Alive("stages", func() error { return errors.New("dead") })
	h.look()
	h.Enter(Draining)
	for got := read(); got != "STOPPING=1"; got = read() {
		if got != "WATCHDOG=1" {
			t.Fatalf("got %s", got)
		}
	}
}

// TestModels: a choice reaches the process whole, and an impossible one is answered with
// the reason.
func TestModels(t *testing.T) {
	s, url := serve(t, nil)
	post := func(kind, body string) (int, string) {
		t.Helper()
		r, err := http.Post(url+"/api/models", kind, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		said, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(said)
	}
	const good = `{"space":"nb201","do":"promote","model":"nb201/3"}`
	if status, said := post("application/json", good); status != http.StatusServiceUnavailable {
		t.Errorf("before the store is reached: %d %s", status, said)
	}
	var got ModelChoice
	var fail error
	s.Models(func(_ context.Context, c ModelChoice) (ModelState, error) {
		got = c
		return ModelState{Space: c.Space, Version: 3, Pinned: true}, fail
	})
	if status, said := post("text/plain", good); status != http.StatusUnsupportedMediaType || got != (ModelChoice{}) {
		t.Errorf("what a form of another site can send: %d %s", status, said)
	}
	if status, said := post("application/json", good); status != http.StatusOK || !strings.Contains(said, `"pinned":true`) || got.Model != "nb201/3" {
		t.Errorf("%d %s, asked for %+v", status, said, got)
	}
	for _, c := range []struct {
		err  error
		want int
	}{{fmt.Errorf("%w: x", ErrUnknown), 404}, {fmt.Errorf("%w: x", ErrConflict), 409}, {errors.New("the store is away"), 503}} {
		fail = c.err
		if status, said := post("application/json", good); status != c.want || !strings.Contains(said, c.err.Error()) {
			t.Errorf("%v: %d %s", c.err, status, said)
		}
	}
}
