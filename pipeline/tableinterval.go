package pipeline

import "time"

// longestTableInterval bounds the time between two commits of a process, however large
// its group is.
const longestTableInterval = time.Minute

// tableInterval returns the time between two commits to a table of a process
// that holds own of the partitions. It grows as the process's share falls, so
// that however many processes write, and however the partitions are spread, they
// make about one commit in every interval together. A group needs no agreement
// for it: all of its members know how many partitions there are.
func tableInterval(every time.Duration, own, partitions int) time.Duration {
	if own < 1 || own >= partitions {
		return every
	}
	return max(every, min(every*time.Duration(partitions)/time.Duration(own), longestTableInterval))
}
