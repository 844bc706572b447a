package kafka

import (
	"testing"
	"time"
)

// TestSessionsAreRenewedEarly: between the last request of a session and its end there
// is time for a busy machine, of a short session a half.
func TestSessionsAreRenewedEarly(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{
		2 * time.Second:  time.Second,
		10 * time.Second: 5 * time.Second,
		20 * time.Second: 15 * time.Second,
		time.Minute:      51 * time.Second,
		time.Hour:        51 * time.Minute,
	} {
		if have := renewAfter(lifetime); have != want {
			t.Errorf("a session of %v is renewed after %v, want %v", lifetime, have, want)
		}
	}
}
