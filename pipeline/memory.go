package pipeline

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"archflow/schemas"
)

// What waits in a session is bounded in bytes as well as in rows: by a budget for
// all that is unpacked, which blocks the source; by what one fetch asks for; by
// what stands before the table; and by what the table has not committed. Each bound is a share of the runtime's soft limit on memory, which
// in a container follows from the container's, so that a small limit is a slower
// stream.

// KeepSmall has the garbage collector run three times as often as it would,
// unless GOGC says how often. Columns hold no pointers, so that a collection is
// cheap: it costs 7 % of the processor time and saves a third of the memory.
//
// In a container the heap keeps below its memory limit by collecting more often
// still, unless GOMEMLIMIT says below what: a small limit is a slower stream and
// not an end. The rest of the limit is for the program's own pages and stacks.
func KeepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(30)
	}
	_, _ = memlimit.Set(memlimit.WithRatio(0.85)) // fails where nothing is limited
}

// share returns the n-th part of the soft limit on memory, within bounds; most
// where there is no limit.
func share(n int64, minimum, maximum int) int {
	return int(min(max(debug.SetMemoryLimit(-1)/n, int64(minimum)), int64(maximum)))
}

// budgetBytes is what a session may have unpacked and not be done with, from the
// source to the last sink. What is larger passes alone. The trainer's sources have
// budgets of their own, because a fit may hold up what they have read.
func budgetBytes(stage string) int {
	if stage == stageSource {
		return share(5, 32<<20, 1<<30)
	}
	return share(16, 16<<20, 256<<20)
}

// longestValue is how much of a message is taken in: of what is refused for its length
// as much as a dead letter may have.
func (c *Config) longestValue() int { return max(schemas.MaxDeadLetter, c.MaxMessageBytes+1) }

// fetchBytes is what one fetch of a partition asks for.
func fetchBytes() int { return share(200, 256<<10, 4<<20) }

// slackBytes is what may wait before the table while that commits.
func slackBytes() int { return share(16, 2<<20, 256<<20) }

// tableBytes is how much the tables hold before they commit.
func tableBytes() int { return share(12, 8<<20, 256<<20) }
