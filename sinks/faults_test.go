package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestFaultsOfTheDisk: the error of the operating system decides whether the session
// begins again, the table is left out for a while, or the process ends. An errno is not
// taken for a network error because it has the methods of one.
func TestFaultsOfTheDisk(t *testing.T) {
	for _, c := range []struct {
		err                     error
		recoverable, unwritable bool
	}{
		{syscall.ENOSPC, true, true}, {syscall.EDQUOT, true, true}, {syscall.EROFS, true, true}, {syscall.EACCES, true, true}, {syscall.EPERM, true, true},
		{syscall.EMFILE, true, false}, {syscall.ENFILE, true, false}, {syscall.ENOMEM, true, false}, {syscall.ESTALE, true, false},
		{syscall.EIO, false, false}, {syscall.ENOENT, false, false}, {syscall.ENOTDIR, false, false}, {syscall.EINVAL, false, false}, {syscall.ENAMETOOLONG, false, false},
		{syscall.ECONNRESET, true, false}, {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETDOWN)}, true, false},
	} {
		err := c.err
		if number, ok := err.(syscall.Errno); ok { //nolint:errorlint // it is one of the above
			err = fmt.Errorf("store x: %w", &fs.PathError{Op: "write", Path: "x", Err: number})
		}
		if Recoverable(err) != c.recoverable || Unwritable(err) != c.unwritable {
			t.Errorf("%v: recoverable %v, unwritable %v", err, Recoverable(err), Unwritable(err))
		}
	}
}

// TestFailedSyncIsFinal: after an fsync that failed nothing begins again in this
// process, also when the reason alone would pass.
func TestFailedSyncIsFinal(t *testing.T) {
	for _, number := range []error{syscall.EIO, syscall.ENOSPC} {
		b := openTest(t, t.TempDir()).(*folder)
		b.fsync = func(*os.File) error { return &fs.PathError{Op: "sync", Path: "x", Err: number} }
		for range 2 {
			err := b.Create(t.Context(), "t/x", []byte("1"))
			if err == nil || Recoverable(err) || errors.Is(err, number) {
				t.Errorf("recoverable %v: %v", Recoverable(err), err)
			}
		}
	}
}
