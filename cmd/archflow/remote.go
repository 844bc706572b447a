package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"archflow/internal/cli"
)

// remote asks a running archflow over HTTP, at the address where this
// configuration has it listen.
type remote struct {
	base    string // http://HOST:PORT
	token   string
	client  *http.Client
	patient bool // post waits for an archflow that is away
}

func newRemote(c *commands) (remote, error) {
	if c.HTTP == "off" {
		return remote{}, cli.Refuse(errors.New("http is off: name the address of a running archflow with --http HOST:PORT"))
	}
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return remote{}, cli.Refuse(fmt.Errorf("http %q: want HOST:PORT", c.HTTP))
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1" // where it listens on every address it listens here too
	}
	return remote{base: "http://" + net.JoinHostPort(host, port), token: c.HTTPToken, client: http.DefaultClient}, nil
}

// get returns the body of a page; an answer other than 200 is an error that
// holds what was said.
func (r remote) get(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := r.client.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no archflow answers at %s: start 'archflow run', or name its address with --http", r.base)
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusOK:
		return answer.Body, nil
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return nil, err
	}
	return nil, &statusError{r.base + path, answer.StatusCode, strings.TrimSpace(string(said))}
}

// statusError is an answer that is not 200.
type statusError struct {
	url    string
	status int
	said   string
}

// Error is what the server said.
func (e *statusError) Error() string { return e.url + ": " + e.said }
