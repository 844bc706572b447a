package pipeline

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"archflow/schemas"
)

// A session bounds its waiting messages in bytes as well as in rows: the unpacked
// messages by a budget, which blocks the source; a fetch by its size; the batches before
// the table; and the rows that the table has not committed. Each bound is a share of the
// runtime's soft limit on memory, which in a container follows from the container's
// limit, so that a small limit makes the stream slower.

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

// budgetBytes bounds the unpacked messages of a session that are between the source and
// the last sink. A larger message passes alone. The candidates decoded from them take as
// much again. The trainer's sources have budgets of their own, because a fit may hold up
// the messages that they have read.
func budgetBytes(stage string) int {
	if stage == stageSource {
		return share(10, 32<<20, 1<<30)
	}
	return share(24, 16<<20, 256<<20)
}

// longestValue is how many bytes of a message's value are read. A value refused for its
// length is kept up to the length of a dead letter.
func (c *Config) longestValue() int { return max(schemas.MaxDeadLetter, c.MaxMessageBytes+1) }

// fetchBytes is the size of one fetch of a partition.
func fetchBytes() int { return share(200, 256<<10, 4<<20) }

// slackBytes bounds the batches that wait while the table commits.
func slackBytes() int { return share(20, 2<<20, 256<<20) }

// tableBytes is how much the tables hold before they commit.
func tableBytes() int { return share(20, 8<<20, 256<<20) }
