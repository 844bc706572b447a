package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrainingKeepsItsShareWhileCandidatesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting, work := true, true
		p := &pacer{share: 0.25, behind: func() bool { return waiting }}
		p.begin(t.Context(), func(on bool) { work = on })
		began, busy := time.Now(), time.Duration(0)
		for i := range 50 {
			part := time.Duration(1+i%7) * time.Millisecond
			time.Sleep(part) // in place of a mini-batch
			busy += part
			if cores := p.pace(); cores != 1 {
				t.Fatalf("%d cores while candidates wait, want 1", cores)
			}
			if !work {
				t.Fatal("the work goes on and nobody was told")
			}
		}
		if share := busy.Seconds() / time.Since(began).Seconds(); share < 0.249 || share > 0.251 {
			t.Errorf("training had %.3f of a core, want its share of 0.25", share)
		}
		waiting = false
		at := time.Now()
		time.Sleep(time.Second)
		if cores := p.pace(); cores != 0 || time.Since(at) != time.Second {
			t.Errorf("no candidate waits: %d cores and a rest of %v, want all and none", cores, time.Since(at)-time.Second)
		}
		waiting = true
		time.Sleep(time.Second)
		if owed := p.owed(); owed != 3*time.Second {
			t.Errorf("a rest of %v is owed for a second, want 3 s", owed)
		}
	})
}

func TestStopEndsARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		p := &pacer{share: 0.01, behind: func() bool { return true }}
		p.begin(stop, func(bool) {})
		time.Sleep(time.Second) // 99 s of rest are owed
		time.AfterFunc(time.Second, cancel)
		at := time.Now()
		if p.pace(); time.Since(at) != time.Second {
			t.Errorf("the rest ended after %v, want 1 s", time.Since(at))
		}
	})
}
