package sinks

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
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
		want       any    // after widening; nil when nothing is missing
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
		wider, err := widened(have, described(test.ours))
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
		if wider, err := widened(m, described(structColumn(a))); err == nil && !strings.Contains(damaged, "struct") {
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
