package kafka

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := NewBackoff()
	for want := FirstBackoff; want < MaxBackoff; want *= 2 {
		if b.Next() != want {
			t.Fatalf("%s, want %s", b.Next(), want)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Wait(ended); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if b.Next() != MaxBackoff {
		t.Errorf("it grew to %s", b.Next())
	}
	b.Reset()
	began := time.Now()
	if err := b.Wait(t.Context()); err != nil || time.Since(began) < FirstBackoff/2 {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
