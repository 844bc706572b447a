package pipeline

import (
	"strings"
	"testing"
	"time"

	"archflow/schemas"
)

// TestLag: messages count until they are covered, wherever they are held, and
// their age grows meanwhile.
func TestLag(t *testing.T) {
	l := newLag(telemetry(t).Metrics)
	p := schemas.TopicPartition{Topic: "a", Number: 3}
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

// TestLagOfAnOpenTransaction: messages that a publisher's open transaction keeps from
// being read are counted, with their age, and one warning is due when it lasts.
func TestLagOfAnOpenTransaction(t *testing.T) {
	l := newLag(telemetry(t).Metrics)
	p := schemas.TopicPartition{Topic: "a"}
	l.begin(p, 0)
	began := time.Now().Add(-time.Minute)
	for _, step := range []struct {
		messages int64
		after    time.Duration
		warn     bool
	}{{200, 0, false}, {210, 10 * time.Second, false}, {210, 31 * time.Second, true}, {220, 40 * time.Second, false}} {
		if warn, since := l.openTransaction(p, step.messages, began.Add(step.after)); warn != step.warn || since != step.after {
			t.Errorf("%+v: told %v, open for %s", step, warn, since)
		}
	}
	if s := l.states(); len(s) != 1 || s[0].Messages != 0 || s[0].Open != 220 || s[0].OpenSeconds < 60 || s[0].OpenSeconds > 120 {
		t.Errorf("%+v", s)
	}
	if text := l.unread(); !strings.HasPrefix(text, "220 messages of a, partition 0, wait for the end of a publisher's transaction, since ") {
		t.Errorf("readiness says %q", text)
	}
	l.openTransaction(p, 0, time.Now())
	if text := l.unread(); text != "" {
		t.Errorf("after its end readiness says %q", text)
	}
	if s := l.states(); s[0].Open != 0 || s[0].OpenSeconds != 0 {
		t.Errorf("after its end: %+v", s)
	}
}
