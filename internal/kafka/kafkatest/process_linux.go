package kafkatest

import "syscall"

// dieWithParent ends the broker when the test process is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// freePort returns a port of 127.0.0.1 for a server, 0 when there is none. A socket that
// does not listen keeps it until the test process ends, so that no connection and no other
// server gets it before: the server may share it, as it sets SO_REUSEADDR like Java and Go.
func freePort() int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0
	}
	return at.(*syscall.SockaddrInet4).Port
}
