//go:build !linux

package kafkatest

import (
	"net"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

// freePort returns a port of 127.0.0.1 for a server, 0 when there is none. Something else
// may take it before the server does.
func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
