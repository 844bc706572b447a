package learner

import (
	"fmt"
	"testing"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// TestNamesAreBounded: a space keeps its first names, independently of other names in the
// process, and its state restores them.
func TestNamesAreBounded(t *testing.T) {
	cfg := Config{Space: "own", Flow: flow.New(flow.Config{K: 8})}
	l := New(cfg)
	d := schemas.NewDecoder(schemas.Limits{})
	var c schemas.Candidates
	const n = 1200 // of four names each
	for i := range n {
		value := fmt.Sprintf(`{"space":"own","ops":["input","flood-op-%[1]d",{"op":"conv","flood-name-%[1]d":"flood-text-%[1]d"},"output"],"edges":[[0,1],[1,2],[2,3]],"proxies":{"flood-proxy-%[1]d":1}}`, i)
		if r := d.Candidate(&c, []byte(value)); r != nil {
			t.Fatal(r)
		}
		c.Append(int64(i), 0, nil, nil)
		l.Observe(&c, i)
	}
	if len(l.names.order) != maxNames {
		t.Fatalf("%d names", len(l.names.order))
	}
	ownNames := func(l *Learner) (own, proxies int) {
		for _, n := range l.buffer.networks {
			own += n.graph.Names.Len()
			proxies += len(n.proxies)
		}
		return own, proxies
	}
	own, proxies := ownNames(l)
	if own == 0 || proxies == 0 || proxies == n {
		t.Fatalf("%d names stay with their graphs, %d proxies are learnt", own, proxies)
	}
	state, err := l.State()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Restore(cfg, state)
	if err != nil {
		t.Fatal(err)
	}
	if own2, proxies2 := ownNames(again); own2 != own || proxies2 != proxies || fmt.Sprint(again.names.order) != fmt.Sprint(l.names.order) {
		t.Errorf("after a restart %d names stay with their graphs and %d proxies are learnt, before %d and %d", own2, proxies2, own, proxies)
	}
	for i, n := range l.buffer.networks {
		x := again.buffer.networks[i].graph
		if string(schemas.AppendArchitecture(nil, &x)) != string(schemas.AppendArchitecture(nil, &n.graph)) {
			t.Fatal("another graph")
		}
	}
}
