package pipeline

import (
	"testing"
	"time"

	"archflow/schemas"
)

// TestLag: messages count until they are covered, wherever they are held, and
// their age grows meanwhile.
func TestLag(t *testing.T) {
	l := newLag(telemetry(t).Metrics)
	p := schemas.Partition{Topic: "a", Number: 3}
	batch := func(age time.Duration) *schemas.Messages {
		var m schemas.Messages
		m.Append(0, time.Now().Add(-age).UnixMilli(), nil, nil)
		m.Value.Append(nil)
		return &m
	}
	expect := func(messages int64, seconds float64) {
		t.Helper()
		s := l.states()
		if len(s) != 1 || s[0].Messages != messages || s[0].Seconds < seconds || s[0].Seconds > seconds+5 {
			t.Errorf("%+v, want %d messages of %v s", s, messages, seconds)
		}
	}
	l.cover(p, 7) // of nobody: it was given back
	l.begin(p, 100)
	expect(0, 0)
	l.read(p, batch(60*time.Second), 110, 130)
	l.read(p, batch(20*time.Second), 120, 130)
	expect(30, 60)
	l.cover(p, 105)
	expect(25, 60)
	l.cover(p, 110)
	expect(20, 20)
	l.cover(p, 120)
	expect(10, 0)
	l.read(p, nil, 130, 130) // markers only
	l.cover(p, 130)
	expect(0, 0)
	l.forget(p)
	if s := l.states(); len(s) != 0 {
		t.Errorf("given back, and still %+v", s)
	}
}
