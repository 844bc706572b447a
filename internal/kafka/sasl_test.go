package kafka

import (
	"testing"
	"time"
)

// TestSessionsAreRenewedInTime: between the last request of a session and its end there
// is time for a busy machine, of a short session a half; and a second lies between two
// authentications, however long the first took, because the broker wants that.
func TestSessionsAreRenewedInTime(t *testing.T) {
	began := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ lifetime, took, want time.Duration }{
		{2 * time.Second, 0, time.Second},
		{2 * time.Second, 300 * time.Millisecond, 1300 * time.Millisecond},
		{10 * time.Second, 300 * time.Millisecond, 5 * time.Second},
		{20 * time.Second, 0, 15 * time.Second},
		{time.Minute, 0, 51 * time.Second},
		{time.Hour, 0, 51 * time.Minute},
	} {
		if have := renewal(began, began.Add(c.took), c.lifetime).Sub(began); have != c.want {
			t.Errorf("a session of %v, after an authentication of %v, is renewed after %v, want %v", c.lifetime, c.took, have, c.want)
		}
	}
}
