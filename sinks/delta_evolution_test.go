package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"archflow/schemas"
)

// described returns the metadata of a table with one column of that type, beside
// a plain one.
func described(typ any) metaData {
	return newMetaData([]column{col("n", "long"), col("x", typ)}, nil, time.Now())
}

func TestWidened(t *testing.T) {
	a, b, c := col("a", "double"), col("b", "long"), col("c", "string")
	foreign := a
	foreign.Metadata = map[string]any{"comment": "of another program", "delta.id": 12345678901234567}
	for name, test := range map[string]struct {
		have, ours any
		want       any    // after the evolution; nil when nothing is missing
		refused    string // a part of the error
	}{
		"the same":                {structColumn(a, b), structColumn(a, b), nil, ""},
		"a field more than ours":  {structColumn(a, b, c), structColumn(a, b), nil, ""},
		"a field less":            {structColumn(a), structColumn(a, b), structColumn(a, b), ""},
		"one more and one less":   {structColumn(a, c), structColumn(a, b), structColumn(a, c, b), ""},
		"in a map":                {mapColumn(structColumn(foreign)), mapColumn(structColumn(a, b)), mapColumn(structColumn(foreign, b)), ""},
		"in a list of structs":    {listColumn(structColumn(col("s", structColumn(a)))), listColumn(structColumn(col("s", structColumn(a, b)))), listColumn(structColumn(col("s", structColumn(a, b)))), ""},
		"a field of another type": {mapColumn(structColumn(col("a", "long"))), mapColumn(structColumn(a, b)), nil, "column x is"},
		"another type":            {"long", "double", nil, "column x is long and not double"},
		"no struct":               {"long", structColumn(a), nil, "column x is long and not"},
		"a list, not a map":       {listColumn("double"), mapColumn("double"), nil, "column x is"},
		"a map, not a struct":     {mapColumn("double"), structColumn(a), nil, "column x is"},
	} {
		have := described(test.have)
		have.Configuration["theirs"] = "kept"
		wider, err := evolved(have, described(test.ours))
		switch {
		case test.refused != "":
			if err == nil || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: %v, want %s", name, err, test.refused)
			}
		case err != nil || (wider != nil) != (test.want != nil):
			t.Errorf("%s: %v, %v", name, wider, err)
		case wider != nil:
			want, err := parseSchema(described(test.want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseSchema(*wider)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v (%v)", name, got, want, err)
			}
			if wider.ID != have.ID || wider.Configuration["theirs"] != "kept" || *wider.CreatedTime != *have.CreatedTime {
				t.Errorf("%s: other metadata became %+v", name, wider)
			}
		}
	}
	for _, damaged := range []string{"", "[]", `{"fields":7}`, `{"fields":[3]}`, `{"fields":[{"name":"n","type":"long"},{"name":"x","type":{"type":"struct","fields":{}}}]}`} {
		m := described(structColumn(a))
		m.SchemaString = damaged
		if wider, err := evolved(m, described(structColumn(a))); err == nil && !strings.Contains(damaged, "struct") {
			t.Errorf("schema %q became %v", damaged, wider)
		}
	}
}

// Processes of a version that writes a field more open a table at once, while
// one of the version before goes on writing.
func TestTableOfAnEarlierVersion(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	a, more := col("a", "double"), col("b", "long")
	old, err := openDelta(ctx, b, "t", described(mapColumn(structColumn(a))), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var opened sync.WaitGroup
	for range 8 {
		opened.Go(func() {
			l, err := openDelta(ctx, b, "t", described(mapColumn(structColumn(a, more))), time.Now)
			if err != nil {
				t.Error(err)
			} else if l.state.version != 1 || l.state.metaData.ID != old.state.metaData.ID {
				t.Errorf("opened at version %d as %+v", l.state.version, l.state.metaData)
			}
		})
	}
	opened.Wait()
	if err := old.commit(ctx, "WRITE", constantly(addAction("1"))); err != nil {
		t.Fatal(err)
	}
	again, err := openDelta(ctx, b, "t", described(mapColumn(structColumn(a))), time.Now)
	if err != nil || again.state.version != 2 || old.state.version != 2 {
		t.Fatalf("at %d and %d: %v", again.state.version, old.state.version, err)
	}
	narrower := described(mapColumn(structColumn(more)))
	if err := again.commit(ctx, "REPLACE", constantly(deltaAction{MetaData: &narrower})); err != nil {
		t.Fatal(err)
	}
	if err := old.commit(ctx, "WRITE", constantly(addAction("2"))); !errors.Is(err, errSchema) {
		t.Errorf("a commit to a table that lost a field: %v", err)
	}
}

// A table of labels from before labels carried failures, seeds and fidelities is opened,
// written to and compacted; its old rows have none of them.
func TestLabelsTableOfAnEarlierVersion(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	first := labelColumns[:len(labelColumns)-4]
	type earlier struct {
		Task   *string  `parquet:"task,optional"`
		Value  *float64 `parquet:"value,optional"`
		Offset *int64   `parquet:"offset,optional"`
	}
	config := TableConfig{Group: "g"}
	old, err := openTable[earlier](ctx, b, "labels", &config, first, []string{"space"})
	if err != nil {
		t.Fatal(err)
	}
	p := schemas.TopicPartition{Topic: "l"}
	for o := range int64(3) {
		err := old.take(ctx, tableSpan{TopicPartition: p, first: o, next: o + 1, rows: 1, bytes: 1, release: func() {}, encode: func(ctx context.Context, _ int64) error {
			file, err := old.files.file(ctx, "space=s", []partitionValue{{"space", "s"}})
			if err != nil {
				return err
			}
			task, value := "t", float64(o)
			return file.put(earlier{&task, &value, &o})
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := old.commitAndMaintain(ctx); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	seven := 7.
	for o, row := range []LabelRow{{Failed: true}, {Seed: "3", Value: &seven}, {Fidelity: &seven, Value: &seven, Suspect: "far away"}} {
		row.Space, row.Task, row.Offset = "s", "t", 3+int64(o)
		if err := s.Append(ctx, p, row.Offset, row.Offset+1, []LabelRow{row}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	got := map[int64]string{}
	for _, r := range readLabels(t, b) {
		told := func(s *string) string {
			if s == nil {
				return "-"
			}
			return *s
		}
		failed, fidelity := "-", "-"
		if r.Failed != nil {
			failed = fmt.Sprint(*r.Failed)
		}
		if r.Fidelity != nil {
			fidelity = fmt.Sprint(*r.Fidelity)
		}
		got[*r.Offset] = strings.Join([]string{failed, told(r.Seed), fidelity, told(r.Suspect)}, " ")
	}
	want := map[int64]string{0: "- - - -", 1: "- - - -", 2: "- - - -", 3: "true - - -", 4: "false 3 - -", 5: "false - 7 far away"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}
