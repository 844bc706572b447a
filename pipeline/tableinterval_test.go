package pipeline

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTableInterval: the processes of a group commit once an interval together,
// whatever their number and their shares; one alone as often as it is set.
func TestTableInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.IntRange(100, 120_000).Draw(t, "milliseconds")) * time.Millisecond
		shares := rapid.SliceOfN(rapid.IntRange(1, 8), 1, 12).Draw(t, "shares")
		partitions, rate, longest := 0, 0.0, time.Duration(0)
		for _, own := range shares {
			partitions += own
		}
		for _, own := range shares {
			interval := tableInterval(every, own, partitions)
			if interval < every || interval > max(every, longestTableInterval) {
				t.Errorf("%v for %d of %d partitions", interval, own, partitions)
			}
			longest = max(longest, interval)
			rate += 1 / interval.Seconds()
		}
		if commits := rate * every.Seconds(); longest < longestTableInterval && (commits < .999 || commits > 1.001) {
			t.Errorf("shares %v of an interval of %v make %v commits in it", shares, every, commits)
		}
	})
	if alone, none := tableInterval(time.Second, 4, 4), tableInterval(time.Second, 0, 4); alone != time.Second || none != time.Second {
		t.Errorf("alone %v, without partitions %v", alone, none)
	}
}
