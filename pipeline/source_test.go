package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
)

// TestDivide: messages that were answered before are asked of the models that
// answered them, and every offset is in one part.
func TestDivide(t *testing.T) {
	p := schemas.TopicPartition{Topic: "t"}
	schedule := sinks.Schedule{{From: 10, Registry: 3}, {From: 20, Registry: 4}, {From: 25, Registry: 7}}
	for _, c := range []struct {
		first, next int64
		skip        map[int64]bool // offsets that compaction or markers took
		past        sinks.Past
		want        string
	}{
		{10, 20, nil, sinks.Past{}, "10-20:-1"},
		{10, 40, nil, sinks.Past{Schedule: schedule, Next: 30}, "10-20:3 20-25:4 25-30:7 30-40:-1"},
		{12, 18, nil, sinks.Past{Schedule: schedule, Next: 30}, "12-18:3"},
		{30, 35, nil, sinks.Past{Schedule: schedule, Next: 30}, "30-35:-1"},
		{26, 30, nil, sinks.Past{Schedule: schedule, Next: 30}, "26-30:7"},
		{18, 28, map[int64]bool{19: true, 20: true, 21: true, 27: true}, sinks.Past{Schedule: schedule, Next: 30}, "18-20:3 20-25:4 25-28:7"},
		{0, 10, nil, sinks.Past{Schedule: sinks.Schedule{{From: 0}, {From: 5, Registry: 1}}, Next: 8}, "0-5:0 5-8:1 8-10:-1"},
		{18, 28, nil, sinks.Past{Schedule: schedule, Next: 22}, "18-20:3 20-22:4 22-28:-1"},
	} {
		var m schemas.Messages
		b := &schemas.Batch{TopicPartition: p, First: c.first, Next: c.next}
		for o := c.first; o < c.next; o++ {
			b.Rejects = append(b.Rejects, schemas.DeadLetter{TopicPartition: p, Offset: o})
			if !c.skip[o] {
				m.Append(o, 0, nil, nil)
				m.Value.Append(fmt.Append(nil, o))
			}
		}
		var got []string
		rows := 0
		for _, part := range divide(b, &m, c.past) {
			got = append(got, fmt.Sprintf("%d-%d:%d", part.First, part.Next, part.Registry))
			view := schemas.ViewMessages(part.Rows)
			rows += view.Len()
			for i := range view.Len() {
				if o := view.Offset[i]; o < part.First || o >= part.Next || string(view.Value.At(i)) != fmt.Sprint(o) {
					t.Errorf("%v: offset %d, value %q in %v", c, o, view.Value.At(i), got)
				}
			}
			for _, d := range part.Rejects {
				if d.Offset < part.First || d.Offset >= part.Next {
					t.Errorf("%v: dead letter %d in %v", c, d.Offset, got)
				}
			}
			if len(part.Rejects) != int(part.Next-part.First) {
				t.Errorf("%v: %d dead letters in %v", c, len(part.Rejects), got)
			}
		}
		if strings.Join(got, " ") != c.want || rows != m.Len() {
			t.Errorf("%d to %d, answered %v: %v with %d of %d rows, want %s", c.first, c.next, c.past, got, rows, m.Len(), c.want)
		}
	}
}

// keeper keeps positions.
type keeper struct {
	at  map[schemas.TopicPartition]int64
	err error
}

func (k keeper) Name() string { return "keeper" }
func (k keeper) Positions(context.Context, []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	return k.at, k.err
}

func TestLowest(t *testing.T) {
	a, b, c := schemas.TopicPartition{Topic: "t"}, schemas.TopicPartition{Topic: "t", Number: 1}, schemas.TopicPartition{Topic: "t", Number: 2}
	all := []schemas.TopicPartition{a, b, c}
	from, err := lowest(t.Context(), all,
		keeper{at: map[schemas.TopicPartition]int64{a: 7, b: 9, c: 0}},
		keeper{at: map[schemas.TopicPartition]int64{a: 9, b: 4, c: 3}},
		keeper{at: map[schemas.TopicPartition]int64{a: 8, c: 5}})
	if err != nil || from[a] != 7 || from[b] != -1 || from[c] != 0 || len(from) != 3 {
		t.Errorf("%v, %v", from, err)
	}
	fault := errors.New("the fault")
	if _, err := lowest(t.Context(), all, keeper{err: fault}); !errors.Is(err, fault) || !strings.Contains(err.Error(), "keeper") {
		t.Error(err)
	}
}
