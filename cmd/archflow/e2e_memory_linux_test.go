package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestEndToEndMemoryLimit lets the pipeline find a backlog in a control group
// whose memory it fills. Nothing is killed, and everything is answered: a full
// cap is a slower stream.
func TestEndToEndMemoryLimit(t *testing.T) {
	const candidates, limit = 40000, 200 << 20 // 170 MB of candidates
	group := newCgroup(t, limit)
	in := install(t, "")
	in.ok("run", "--exit-at-end")                       // makes the topics
	host := in.start("read", "models", "--from", "end") // runs the broker
	produce(t, in.embedded(), heavy(t, in.topic("architectures"), candidates))
	host.kill()

	in.set("TABLE_INTERVAL", "10s") // so that only what the table holds ends its wait
	in.program = group.program(t, archflow(t))
	run := in.start("run", "--exit-at-end")
	own := resident(run)
	status := run.wait(5 * patience)
	killed, peak := group.seen(t)
	t.Logf("limit %d MiB: at most %d MiB, %d of them the process's own", limit>>20, peak>>20, own()>>20)
	if status != 0 || killed > 0 {
		t.Fatalf("status %d, %d killed for want of memory: %s", status, killed, lastLines(run.err.String(), 5))
	}
	if peak >= 0 && peak < limit/100*95 {
		t.Errorf("the group took %d bytes of %d: the backlog shows nothing", peak, limit)
	}
	in.program = ""
	in.everyCandidate(candidates, "deltalake")
}

// heavy returns candidates of 4 kB, most of it in meta, which is carried to the
// table and hardly shrinks.
func heavy(t *testing.T, topic string, n int) (records []*kgo.Record) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 9))
	good := rows(t)
	for i := range n {
		row := good[i%len(good)]
		value := fmt.Appendf(nil, `{"meta":"%x",`, noise(random, 1800))
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: append(value, bytes.TrimPrefix(row, []byte("{"))...)})
	}
	return records
}

// resident follows the most memory that a process has of its own, until it has ended. The
// system's figure for an ended process would include the memory of the test that began it.
func resident(p *process) (peak func() int64) {
	var most atomic.Int64
	go func() {
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
			_, line, found := strings.Cut(string(status), "VmHWM:")
			var kilobytes int64
			if _, bad := fmt.Sscan(line, &kilobytes); err != nil || !found || bad != nil {
				return // it has ended
			}
			most.Store(kilobytes << 10)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return most.Load
}
