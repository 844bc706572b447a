package sinktest

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
)

// span returns all messages of a range, rows and dead letters.
func span(p schemas.TopicPartition, first, next int64) []Row {
	var rows []Row
	for o := first; o < next; o++ {
		rows = append(rows, Row{p, o, Architecture(p, o)})
	}
	return rows
}

// wantRows fails unless the place holds exactly those of want that are its
// sink's, each once; in a place that repeats, also rows that are not committed
// may be there.
func wantRows(t *testing.T, place *Place, want []Row) {
	t.Helper()
	got := place.Read(t)
	want = slices.DeleteFunc(slices.Clone(want), func(r Row) bool { return rejected(r.Offset) != place.Rejects })
	if place.Repeats {
		slices.SortFunc(got, order)
		got = slices.DeleteFunc(slices.Compact(got), func(r Row) bool { return !slices.Contains(want, r) })
	}
	compareRows(t, got, want, "")
}

// wantAll fails unless the partitions are there from 0 to end, as often as the
// place promises.
func wantAll(t *testing.T, place *Place, of []schemas.TopicPartition, end int64, when string) {
	t.Helper()
	var want []Row
	for _, p := range of {
		want = append(want, span(p, 0, end)...)
	}
	want = slices.DeleteFunc(want, func(r Row) bool { return rejected(r.Offset) != place.Rejects })
	got := place.Read(t)
	if place.Repeats {
		slices.SortFunc(got, order)
		got = slices.Compact(got)
	}
	compareRows(t, got, want, when+": ")
}

func compareRows(t *testing.T, got, want []Row, when string) {
	t.Helper()
	count := map[Row]int{}
	for _, r := range want {
		count[r]++
	}
	for _, r := range got {
		count[r]--
	}
	for _, r := range slices.SortedFunc(maps.Keys(count), order) {
		switch n := count[r]; {
		case n > 0:
			t.Errorf("%s%s/%d offset %d is missing", when, r.Topic, r.Number, r.Offset)
		case n < 0:
			t.Errorf("%s%s/%d offset %d is there %d times too often (%s)", when, r.Topic, r.Number, r.Offset, -n, r.Content)
		}
	}
}

func order(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Content, b.Content))
}

func wantPositions(t *testing.T, s sinks.Sink, want map[schemas.TopicPartition]int64) {
	t.Helper()
	got, err := s.Positions(t.Context(), partitions)
	if err != nil {
		t.Fatal("positions:", err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("positions %v, want %v", got, want)
	}
}
