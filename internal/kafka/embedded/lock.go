package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// folderLock is the lock on a broker's folder. It is held until Close or the end
// of the process: it is a bare file descriptor, because an os.File that nobody
// reaches any more is closed by the garbage collector, which would give the folder
// to another process while the broker runs.
type folderLock struct{ descriptor int }

// takeLock locks a file, creating it when there is none. The error is EWOULDBLOCK
// while another process holds it.
func takeLock(path string) (folderLock, error) {
	descriptor, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return folderLock{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	l := folderLock{descriptor}
	for {
		err = syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return folderLock{}, errors.Join(fmt.Errorf("flock %s: %w", path, err), l.Close())
		}
	}
}

// Close gives the folder back.
func (l folderLock) Close() error { return syscall.Close(l.descriptor) }
