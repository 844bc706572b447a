// Package console is what the commands share: their streams, how they end on a
// signal, and text that is safe to show on a terminal.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"archflow/internal/cli"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit statuses, part of the contract with users.
const (
	ExitStopped = 0 // done, or stopped as asked
	ExitFailed  = 1
	ExitRefused = 2 // usage or configuration
)

// Status writes the error of a command, if it is one, and returns the exit status.
func Status(err error, w io.Writer) int {
	if err == nil {
		return ExitStopped
	}
	// The further lines of an error are indented, so that it stays one block.
	fmt.Fprintf(w, "archflow: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	var refused cli.Refusal
	if errors.As(err, &refused) {
		return ExitRefused
	}
	return ExitFailed
}

// ErrInterrupted is how a command that has an end of its own answers a signal before
// that end: the work is unfinished, and the exit status must show it.
var ErrInterrupted = errors.New("interrupted")

// InterruptedOr returns ErrInterrupted and the work that is undone when ctx has
// ended, otherwise err.
func InterruptedOr(ctx context.Context, err error, undone string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %s", ErrInterrupted, undone)
	}
	return err
}

// StoppedOr returns nil when ctx has ended, because the user asked to stop, otherwise
// err.
func StoppedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a stop is no error
	}
	return err
}

// Sleep returns after d or with the error of ctx. It does not sleep for less than a
// millisecond, which costs more than it is worth.
func Sleep(ctx context.Context, d time.Duration) error {
	if d < time.Millisecond {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Printable returns bytes as text without control characters, which could move a
// terminal's cursor.
func Printable(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("%q", b)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, string(b))
}
