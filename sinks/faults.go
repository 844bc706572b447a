package sinks

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"syscall"

	"archflow/internal/kafka"
)

// An error of a sink has one of three classes, decided here in this order:
//
//   - Unwritable: somebody has to change the place, or make room. Predictions go on without
//     a table, which is retried every now and then; other sessions begin again, for as
//     long as it takes.
//   - Recoverable: a transient error; the session begins again.
//   - Any other ends the process with the error: a failing disk, a missing file, a failed
//     fsync, a table of another kind.

// transient are the errors of the operating system that go away by themselves: too many
// open files, no memory, a network file system that does not answer or whose file was
// replaced.
var transient = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.EBUSY, syscall.ESTALE, syscall.ETIMEDOUT,
}

// persistent are those that last until somebody acts: no room, a quota, no permission, a
// file system that was remounted read-only.
var persistent = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, fs.ErrPermission}

func isAny(err error, all []error) bool {
	return slices.ContainsFunc(all, func(one error) bool { return errors.Is(err, one) })
}

// statusOf returns the HTTP status that an object store has answered with, 0 for other
// errors.
func statusOf(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// Unwritable reports whether a bucket or a table cannot be written until somebody
// changes it, makes room or gives us the right.
func Unwritable(err error) bool {
	return errors.Is(err, ErrRefused) || isAny(err, persistent) || statusOf(err) == http.StatusForbidden
}

// Recoverable reports whether a session that ended with err may go well when it begins
// again from the sinks' positions: errors that Kafka recovers from, an object store that
// is overloaded or ill, a gap, or a place that can be written again.
func Recoverable(err error) bool {
	switch status := statusOf(err); { // the stores say so with 429, 500 or 503; 501 is for good
	case status == http.StatusNotImplemented:
		return false
	case status >= 500, status == http.StatusTooManyRequests:
		return true
	}
	return errors.Is(err, ErrGap) || isAny(err, transient) || Unwritable(err) || kafka.Recoverable(err)
}
