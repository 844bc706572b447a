package embedded

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// patientListener goes on when a connection cannot be accepted for want of file
// descriptors or memory. The broker's own loop ends at its first error and would
// never accept again.
type patientListener struct{ net.Listener }

// longestRefusal is the longest time between two attempts to accept.
const longestRefusal = time.Second

// Accept waits for a connection. Its errors are those of a closed listener and
// others that trying again does not cure.
func (l patientListener) Accept() (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, longestRefusal) {
		c, err := l.Listener.Accept()
		if err == nil || !passes(err) {
			return c, err
		}
		if pause == 5*time.Millisecond {
			slog.Warn("the embedded broker cannot accept connections; trying again; if it lasts, raise the limit of open files", "error", err)
		}
		time.Sleep(pause)
	}
}

func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
