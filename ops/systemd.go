package ops

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// systemd is the socket on which a service of Type=notify reports its state. Source:
// sd_notify(3), sd_watchdog_enabled(3).
type systemd struct {
	address  string        // empty when nobody listens; @ begins an abstract one
	watchdog time.Duration // 0 without WatchdogSec=
}

func newSystemd() *systemd {
	s := &systemd{address: os.Getenv("NOTIFY_SOCKET")}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && s.address != "" {
			s.watchdog = time.Duration(us) * time.Microsecond
		}
	}
	return s
}

// notify sends one state, such as READY=1.
func (s *systemd) notify(state string) error {
	if s.address == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	_, err = c.Write([]byte(state))
	if closeErr := c.Close(); err == nil {
		err = closeErr
	}
	return err
}
