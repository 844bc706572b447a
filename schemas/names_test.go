package schemas

import (
	"fmt"
	"reflect"
	"testing"
)

// keepNoNames makes the process keep no more names of messages.
func keepNoNames(t *testing.T) {
	before := foreignSymbols
	t.Cleanup(func() { foreignSymbols = before })
	foreignSymbols = 0
}

// written returns a row with names in place of symbols.
func writtenRow(c *Candidates, i int) []string {
	whole, network := c.Graphs.At(i), c.Networks.At(i)
	out := []string{
		c.NameOf(i, c.Space[i]), c.Architecture[i].String(), c.Network[i].String(),
		string(AppendArchitecture(nil, &whole)), string(AppendArchitecture(nil, &network)),
	}
	c.Proxies(i, func(name Symbol, value float64) { out = append(out, fmt.Sprint(c.NameOf(i, name), value)) })
	return out
}

// TestNamesThatAreNotKept: a candidate is the same row whether the process keeps
// its names or not, through a record and a choice of rows.
func TestNamesThatAreNotKept(t *testing.T) {
	messages := []string{
		`{"space":"own space-of.mine_1","ops":["lonely 1","lonely 2","lonely 1"],"edges":[[0,1],[1,2]],"proxies":{"lonely 3":1,"lonely 4":2}}`,
		`{"space":"dag",` + chain + `}`,
		`{"space":"own-2","ops":["input",{"op":"lonely 5","lonely 6":"lonely 7","a":1},"dead","output"],"edges":[[1,3],[0,1],[0,2]],"hyperparameters":{"lonely 8":[true,"lonely 9"]}}`,
		`{"space":"own-2",` + chain + `,"ops_reduce":["lonely 10"],"edges_reduce":[]}`,
	}
	messages[0] = `{"space":"own-space-of.mine_1"` + messages[0][len(`{"space":"own space-of.mine_1"`):]
	decode := func() (rows [][]string) {
		d := NewDecoder(Limits{})
		var c Candidates
		for i, m := range messages {
			if r := d.Candidate(&c, []byte(m)); r != nil {
				t.Fatal(r)
			}
			c.Append(int64(i), 0, nil, nil)
		}
		r := c.Record()
		defer r.Release()
		view := ViewCandidates(r)
		for i := range messages {
			rows = append(rows, writtenRow(&view, i))
			one := view.Graphs.Select([]int{i, 1})
			x := one.At(0)
			clone := x.Clone()
			if got := string(AppendArchitecture(nil, &clone)); got != rows[i][3] {
				t.Errorf("chosen alone, %s is %s", rows[i][3], got)
			}
		}
		return rows
	}
	keepNoNames(t)
	unkept := decode()
	if _, known := Lookup("lonely 1"); known {
		t.Fatal("the process keeps the name")
	}
	foreignSymbols = MaxSymbols
	if kept := decode(); !reflect.DeepEqual(kept, unkept) {
		t.Errorf("kept\n%q\nnot kept\n%q", kept, unkept)
	}
}

// TestLabelsOfNamesThatAreNotKept: the graph of a label keeps them too.
func TestLabelsOfNamesThatAreNotKept(t *testing.T) {
	keepNoNames(t)
	l, r := NewDecoder(Limits{}).Label([]byte(`{"space":"dag","task":"t","value":1,"ops":["alone 1","alone 2"],"edges":[[0,1]]}`))
	if r != nil {
		t.Fatal(r)
	}
	x := l.Pruned.At(0)
	if got := string(AppendArchitecture(nil, &x)); got != `"ops":["alone 1","alone 2"],"edges":[[0,1]]` {
		t.Error(got)
	}
}
