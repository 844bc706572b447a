package schemas

import (
	"reflect"
	"strconv"
	"testing"
)

// TestStoredGraphs: an architecture read back from a table gives the same columns and
// identities, for every form that a candidate may have.
func TestStoredGraphs(t *testing.T) {
	forms := []string{
		`{"space":"nb201","arch":"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"}`,
		`{"space":"dag","ops":["output","conv","input","dead"],"edges":[[2,1],[1,0],[1,3],[1,0]]}`,
		`{"space":"pit","ops":["input",{"op":"block","heads":4,"mlp_ratio":2.5,"act":"gelu","bias":true},"output"],"edges":[[0,1],[1,2]],"hyperparameters":{"lr":0.1,"ema":false}}`,
		`{"space":"vit-size","hyperparameters":{"depth":12,"heads":[3,3,6,6],"resolution":224,"act":"gelu"}}`,
		`{"space":"cells","edge_ops":["conv","skip"],"edges":[[0,1],[1,2]]}`,
		`{"space":"tnb101","arch":"64-41414-1_02_333"}`,
		`{"space":"nats-sss","arch":"16:40:56:24:40"}`,
	}
	given, again := NewDecoder(Limits{}), NewDecoder(Limits{})
	for _, form := range forms {
		var want, got Candidates
		if refused := given.Candidate(&want, []byte(form)); refused != nil {
			t.Fatalf("%s: %s", form, refused.Reason)
		}
		g := storedOf(&want)
		if refused := again.Stored(&got, want.NameOf(0, want.Space[0]), &g); refused != nil {
			t.Errorf("%s: %s", form, refused.Reason)
			continue
		}
		if got.Architecture[0] != want.Architecture[0] || got.Network[0] != want.Network[0] || got.Space[0] != want.Space[0] ||
			!reflect.DeepEqual(got.Graphs.At(0), want.Graphs.At(0)) || !reflect.DeepEqual(got.Networks.At(0), want.Networks.At(0)) {
			t.Errorf("%s:\n%+v\nwant\n%+v", form, got, want)
		}
	}
	for _, bad := range []StoredGraph{
		{}, {Ops: []string{"a"}, Edges: []int32{0}}, {Ops: []string{"a", "b"}, Edges: []int32{0, 2}}, {Ops: []string{"a", "b"}, Edges: []int32{-1, 0}}, {Ops: []string{"a", "b"}, Edges: []int32{1, 0}},
	} {
		var c Candidates
		if again.Stored(&c, "dag", &bad) == nil || len(c.Network) > 0 {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// storedOf returns the first candidate as the predictions table has it.
func storedOf(c *Candidates) (s StoredGraph) {
	g := c.Graphs.At(0)
	for _, op := range g.Ops {
		s.Ops = append(s.Ops, c.NameOf(0, op))
	}
	s.Edges = g.Edges
	for _, a := range g.Attributes {
		x := StoredAttribute{Node: a.Node, Name: c.NameOf(0, a.Name), Number: &a.Number}
		switch a.Kind {
		case TextKind:
			text := c.NameOf(0, a.Text)
			x.Number, x.Text = nil, &text
		case BooleanKind:
			text := strconv.FormatBool(a.Number != 0)
			x.Text = &text
		}
		s.Attributes = append(s.Attributes, x)
	}
	return s
}
