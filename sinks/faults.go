package sinks

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"syscall"

	"archflow/internal/kafka"
)

// What becomes of an error of a sink is decided here, in this order:
//
//   - Unwritable: somebody has to change the place, or make room. Answers go on without
//     a table, which is tried again every now and then; what cannot do without its place
//     begins again, for as long as it takes.
//   - Recoverable: time heals it, and the session begins again.
//   - Any other ends the process with what the error says: a disk that fails, a file that
//     is gone, an fsync that failed, a table of another kind.

// passing are the numbers of the operating system that time heals: too many open files,
// no memory, a network file system that does not answer or whose file was replaced.
var transient = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.EBUSY, syscall.ESTALE, syscall.ETIMEDOUT,
}

// barred are those that last until somebody does something: no room, a quota, no right,
// a file system that was mounted again without the right to write.
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

// Recoverable reports whether a session that ended with err may go well when it
// begins again from the sinks' positions: what Kafka recovers from, an object
// store that is overloaded or ill, a gap, or a place that can be written again.
func Recoverable(err error) bool {
	switch status := statusOf(err); { // the stores say so with 429, 500 or 503; 501 is for good
	case status == http.StatusNotImplemented:
		return false
	case status >= 500, status == http.StatusTooManyRequests:
		return true
	}
	return errors.Is(err, ErrGap) || isAny(err, transient) || Unwritable(err) || kafka.Recoverable(err)
}
