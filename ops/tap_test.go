package ops

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTap streams records of a stage to a reader with the token, and to nobody
// else.
func TestTap(t *testing.T) {
	tel := start(t, Options{})
	tel.Metrics.Stage("decode")
	_, url := serve(t, func(o *ServerOptions) { o.Taps, o.Token = tel.Taps, "secret" })
	for path, want := range map[string]int{
		"/api/tap?stage=decode":           http.StatusUnauthorized,
		"/api/tap?stage=nowhere":          http.StatusNotFound,
		"/api/tap?stage=decode&rate=0":    http.StatusBadRequest,
		"/api/tap?stage=decode&rate=1000": http.StatusBadRequest,
	} {
		var headers []string
		if want != http.StatusUnauthorized {
			headers = []string{"Authorization", "Bearer secret"}
		}
		if status, body := ask(t, "GET", url+path, "", headers...); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/tap?stage=decode&rate=100", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; i < 3 && lines.Scan(); i++ {
			if want := `{"i":`; !strings.HasPrefix(lines.Text(), want) {
				t.Errorf("line %d is %q", i, lines.Text())
			}
		}
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		tel.Taps.Pass("other", 1, func(int) []byte { t.Error("nobody watches this stage"); return nil })
		tel.Taps.Pass("decode", 10, func(i int) []byte { return fmt.Appendf(nil, `{"i":%d}`, i) })
		select {
		case <-ended:
		default:
			if time.Now().Before(deadline) {
				continue
			}
			t.Error("the records do not arrive")
		}
		break
	}
}

// TestTapNeverWaits: without a reader a tap drops, it keeps to its rate, and the number
// of taps is bounded.
func TestTapNeverWaits(t *testing.T) {
	taps := &Taps{}
	slow := taps.add("s", maxTapRate)
	slow.budget = maxTapRate
	shown := 0
	began := time.Now()
	for range 100 {
		taps.Pass("s", 1000, func(int) []byte { shown++; return []byte("x") })
	}
	took := time.Since(began)
	if most := maxTapRate + int(took.Seconds()*maxTapRate) + 1; shown > most || shown < maxTapRate {
		t.Errorf("%d records of 100,000 were shown in %v, want about %d", shown, took, maxTapRate)
	}
	if len(slow.lines) != tapBacklog {
		t.Errorf("%d wait, want %d", len(slow.lines), tapBacklog)
	}
	for range maxTaps - 1 {
		if taps.add("s", 1) == nil {
			t.Fatal("too few taps")
		}
	}
	if taps.add("s", 1) != nil {
		t.Error("one tap too many")
	}
	taps.remove(slow)
	if taps.add("s", 1) == nil {
		t.Error("a closed tap keeps its place")
	}
}

// BenchmarkTapClosed is the cost of a batch that nobody watches.
func BenchmarkTapClosed(b *testing.B) {
	taps := &Taps{}
	for b.Loop() {
		taps.Pass("s", 1000, func(int) []byte { return nil })
	}
}
