package main

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var crashWithout = flag.String("without", "", "safeguards that TestCrashNotices leaves out, one at a time: positions, fencing, drop")

// TestCrashNotices shows that the crash test is able to fail: with a binary that
// lacks one safeguard, which only a build tag can make, it finds differences.
// The fourth safeguard, fsync, is not one that a SIGKILL can test, because the
// system keeps what was written; sinks.TestPowerLoss does.
func TestCrashNotices(t *testing.T) {
	if *crashWithout == "" {
		t.Skip("make crash-unsafe runs it")
	}
	program := filepath.Join(t.TempDir(), "archflow-unsafe")
	if out, err := exec.Command("go", "build", "-tags", "crashunsafe", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, without := range strings.Split(*crashWithout, ",") {
		t.Run(without, func(t *testing.T) {
			var all crashCounts
			for seed := *crashSeed; all.Differences == 0; seed++ {
				if all.Kills >= 200 {
					t.Fatalf("nothing was noticed: %s", all)
				}
				r := newCrashRound(t, "embedded", seed)
				r.without = without
				r.in.program = program
				r.in.set("WITHOUT", without)
				if without == "fencing" && len(r.seats) == 1 {
					continue // nobody to fence off
				}
				r.run(*crashKills)
				all.add(r.crashCounts)
			}
			t.Logf("noticed: %s", all)
		})
	}
}
