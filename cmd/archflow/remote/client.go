// Package remote is a client of the HTTP API of a running archflow.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"archflow/internal/cli"
	"archflow/pipeline"
	"archflow/pipeline/api"
)

// Client asks an archflow over HTTP.
type Client struct {
	Base    string // http://HOST:PORT
	Token   string
	HTTP    *http.Client
	Patient bool // Post waits for an archflow that is down or not ready
}

// New returns a client of the archflow that listens at the address of a configuration.
func New(c *pipeline.Config) (Client, error) {
	if c.HTTP == "off" {
		return Client{}, cli.Refuse(errors.New("http is off: name the address of a running archflow with --http HOST:PORT"))
	}
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return Client{}, cli.Refuse(fmt.Errorf("http %q: want HOST:PORT", c.HTTP))
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1" // a server that listens on every address listens on this one
	}
	return Client{Base: "http://" + net.JoinHostPort(host, port), Token: c.HTTPToken, HTTP: http.DefaultClient}, nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	URL    string
	Status int
	Text   string // the body
}

// Error is the URL and the sentence of the API with its cure, or the body of another answer.
func (e *StatusError) Error() string {
	var said api.Error
	if err := json.Unmarshal([]byte(e.Text), &said); err != nil || said.Message == "" {
		return e.URL + ": " + e.Text
	}
	return e.URL + ": " + said.Error()
}

// Get returns the body of a page. An answer other than 200 is a *StatusError.
func (c Client) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	body, err := c.do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no archflow answers at %s: start 'archflow run', or name its address with --http", c.Base)
	}
	return body, err
}

// do sends a request and returns the body of the answer.
func (c Client) do(request *http.Request) (io.ReadCloser, error) {
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return nil, err
	}
	return nil, &StatusError{request.URL.String(), answer.StatusCode, strings.TrimSpace(string(text))}
}
