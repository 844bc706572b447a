package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// post sends a body and gives the answer to read; key names the request, so that
// it may be repeated. An answer other than 200 is an error that holds what was
// said. The patient repeat what nobody answered, or what an archflow could not do
// now; read then begins anew with the answer.
func (r remote) post(ctx context.Context, path, kind, key string, body []byte, read func(io.Reader) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := r.postOnce(ctx, path, kind, key, body, read)
		if err == nil || !r.patient || !passing(err) {
			return err
		}
		if rest(ctx, wait) != nil {
			return err
		}
	}
}

// passing says whether a request may succeed later: no answer, or one that says so.
func passing(err error) bool {
	var refused *statusError
	if errors.As(err, &refused) {
		return refused.status == http.StatusServiceUnavailable || refused.status == http.StatusGatewayTimeout
	}
	var broken *url.Error
	return errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func (r remote) postOnce(ctx context.Context, path, kind, key string, body []byte, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
		if err != nil {
			return err
		}
		return &statusError{r.base + path, answer.StatusCode, strings.TrimSpace(string(said))}
	}
	if read == nil {
		return nil
	}
	return read(answer.Body)
}

// lines posts JSON Lines.
func (r remote) lines(ctx context.Context, path, key string, lines [][]byte, read func(io.Reader) error) error {
	return r.post(ctx, path, "application/x-ndjson", key, bytes.Join(lines, []byte{'\n'}), read)
}
