package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"archflow/cmd/archflow/console"
)

// Post sends a body and hands the body of the answer to read, which may be nil. An
// answer other than 200 is a *StatusError. The key names the request, so that it may
// be repeated: a patient client repeats a request that may succeed later, and read
// then starts over with the next answer.
func (c Client) Post(ctx context.Context, path, kind, key string, body []byte, read func(io.Reader) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := c.postOnce(ctx, path, kind, key, body, read)
		if err == nil || !c.Patient || !IsRetriable(err) {
			return err
		}
		if console.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// PostLines posts JSON Lines.
func (c Client) PostLines(ctx context.Context, path, key string, lines [][]byte, read func(io.Reader) error) error {
	return c.Post(ctx, path, "application/x-ndjson", key, bytes.Join(lines, []byte{'\n'}), read)
}

// IsRetriable says whether a request may succeed later: nothing answered, or the
// answer says that the server is not ready.
func IsRetriable(err error) bool {
	var refused *StatusError
	if errors.As(err, &refused) {
		return refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusGatewayTimeout
	}
	var broken *url.Error
	return errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func (c Client) postOnce(ctx context.Context, path, kind, key string, body []byte, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	answer, err := c.do(request)
	if err != nil {
		return err
	}
	defer answer.Close()
	if read == nil {
		return nil
	}
	return read(answer)
}
