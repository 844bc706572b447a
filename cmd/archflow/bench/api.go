package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"archflow/internal/progress"
	"archflow/pipeline"
)

const (
	callSize  = 500    // candidates of one call
	calls     = 200    // of one turn
	linesSize = 20_000 // candidates of one request as JSON Lines
)

// apiCall measures calls of /api/predict with callSize candidates each, one after
// the other.
func (b *bench) apiCall(ctx context.Context) (*Figure, error) {
	var middle []float64
	v, size, err := b.asked(ctx, callSize, "application/json", func(ctx context.Context, ask func(context.Context) error) (float64, error) {
		took := make([]float64, calls)
		for i := range took {
			began := time.Now()
			if err := ask(ctx); err != nil {
				return 0, err
			}
			took[i] = float64(time.Since(began).Microseconds()) / 1000
		}
		middle = append(middle, quantile(took, .5))
		return quantile(took, .99), nil
	})
	if err != nil {
		return nil, err
	}
	b.note("api_call_p99", "POST /api/predict with an array of %d candidates (%d kB), %d calls a turn one after the other on one connection, by a settled worker in the same process; median %.2g ms", callSize, size/1000, calls, median(middle[1:]))
	return rates("ms", v, "", nil), nil
}

// apiLines measures requests of linesSize candidates as JSON Lines.
func (b *bench) apiLines(ctx context.Context) (*Figure, error) {
	v, size, err := b.asked(ctx, linesSize, "application/x-ndjson", func(ctx context.Context, ask func(context.Context) error) (float64, error) {
		began := time.Now()
		for range 3 {
			if err := ask(ctx); err != nil {
				return 0, err
			}
		}
		return 3 * linesSize / time.Since(began).Seconds(), nil
	})
	if err != nil {
		return nil, err
	}
	b.note("api_lines", "POST /api/predict with %s candidates as JSON Lines (%.1f MB), on one connection, by a settled worker in the same process", progress.Thousands(linesSize), float64(size)/1e6)
	return rates("candidates/s", v, "", nil), nil
}

// asked runs a settled worker and turns of a measurement that asks it for the
// predictions of n rows of the table; size is that of the request's body.
func (b *bench) asked(ctx context.Context, n int, kind string, measure func(ctx context.Context, ask func(context.Context) error) (float64, error)) (v []float64, size int, err error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, 0, err
	}
	c := s.next(pipeline.RoleWorker)
	c.ExitAtEnd = false
	c.Data = filepath.Join(s.data, fmt.Sprintf("asked-%d", s.turns)) // a broker without a backlog
	if c.HTTP, err = freePort(ctx); err != nil {
		return nil, 0, err
	}
	p, err := pipeline.Open(ctx, &c, s.report, s.version)
	if err != nil {
		return nil, 0, err
	}
	work, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- p.Run(work) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ran, p.Close(), os.RemoveAll(c.Table), os.RemoveAll(c.Data))
	}()
	for p.ModelName(s.table.space()) == "" {
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-ran:
			ran <- nil
			return nil, 0, errors.Join(err, ctx.Err())
		}
	}
	body := s.body(n, kind)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	ask := func(ctx context.Context) error {
		return post(ctx, client, "http://"+c.HTTP+"/api/predict", kind, c.HTTPToken, body)
	}
	all, err := b.turns(ctx, func(ctx context.Context) (float64, error) { return measure(ctx, ask) })
	if err != nil {
		return nil, 0, err
	}
	return all[0], len(body), nil
}

// post sends a request and reads its answer, which must be 200.
func post(ctx context.Context, client *http.Client, url, kind, token string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// body returns n rows of the table, over and over, as a request holds them.
func (s *stream) body(n int, kind string) []byte {
	rows := make([][]byte, 0, n)
	for len(rows) < n {
		rows = append(rows, s.table.lines[:min(n-len(rows), len(s.table.lines))]...)
	}
	if kind == "application/x-ndjson" {
		return bytes.Join(rows, []byte{'\n'})
	}
	return slices.Concat([]byte{'['}, bytes.Join(rows, []byte{','}), []byte{']'})
}

// freePort returns an address of this machine that nothing listens on.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
