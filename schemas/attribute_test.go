package schemas

import (
	"fmt"
	"testing"
)

// decodeAll decodes messages into the rows of one batch.
func decodeAll(t *testing.T, messages ...string) *Candidates {
	t.Helper()
	d := NewDecoder(Limits{})
	var c Candidates
	for _, m := range messages {
		if r := d.Candidate(&c, []byte(m)); r != nil {
			t.Fatalf("%s: %s", m, r)
		}
	}
	return &c
}

// IDs are in users' tables: these may never change.
func TestGoldenIDsOfAttributes(t *testing.T) {
	c := decodeAll(t,
		`{"space":"dag","ops":["input",{"op":"conv","k":3,"act":"relu","bias":true},"output"],"edges":[[0,1],[1,2]]}`,
		`{"space":"dag",`+chain+`,"hyperparameters":{"lr":0.001,"heads":[3,6]}}`,
		`{"space":"s","hyperparameters":{"depth":12}}`)
	for i, want := range []string{"966c2a232f409857e226c57c32703d87", "10379d557800ccd0f68399364bb94a6b", "4e8a2d7038cddfdf025001374e2fcd4d"} {
		if c.Architecture[i].String() != want || c.Network[i].String() != want {
			t.Errorf("row %d: %s, %s, want %s", i, c.Architecture[i], c.Network[i], want)
		}
	}
}

// TestIdentityOfAttributes compares attributes that make one architecture and those that
// make two.
func TestIdentityOfAttributes(t *testing.T) {
	node := func(members string) string {
		return `{"space":"dag","ops":["input",{"op":"conv"` + members + `},"output"],"edges":[[0,1],[1,2]]}`
	}
	whole := func(members string) string {
		return `{"space":"dag",` + chain + `,"hyperparameters":{` + members + `}}`
	}
	same := [][]string{
		{node(``), `{"space":"dag","ops":["input","conv","output"],"edges":[[0,1],[1,2]]}`, node(`,"k":null`), node(`,"k":1,"k":null`)},
		{node(`,"k":3`), node(`,"k":3.0`), node(`,"k":3e0`), node(`,"k":0.3e1`), node(`,"k":7,"k":3`)},
		{node(`,"k":0`), node(`,"k":-0`), node(`,"k":-0.0`)},
		{node(`,"k":3,"c":64`), node(`,"c":64,"k":3`)},
		{node(`,"k":"3"`)}, {node(`,"k":1`)}, {node(`,"k":true`)}, {node(`,"k":false`)}, {node(`,"k":"true"`)}, {node(`,"k":64,"c":3`)},
		{node(`,"j":3`)}, {node(`,"k":3.0000000000000004`)}, {node(`,"k":""`)},
		{whole(`"k":3`), whole(`"k":3.0,"x":[]`)}, {whole(`"k":[3]`), whole(`"k.0":3`)}, {whole(`"k":[3,6]`)}, {whole(`"k":[6,3]`)},
		{`{"space":"dag",` + chain + `}`, whole(``), whole(`"k":null`)},
		{`{"space":"dag","ops":[{"op":"input","k":3},"conv","output"],"edges":[[0,1],[1,2]]}`,
			`{"space":"dag","ops":["output","conv",{"op":"input","k":3}],"edges":[[2,1],[1,0]]}`},
		{`{"space":"dag","ops":["input","conv",{"op":"output","k":3}],"edges":[[0,1],[1,2]]}`},
		{`{"space":"dag","hyperparameters":{"k":3}}`}, {`{"space":"dag","hyperparameters":{"k":4}}`},
	}
	of := map[ID]int{}
	for group, messages := range same {
		c := decodeAll(t, messages...)
		for i, id := range c.Architecture {
			if id != c.Architecture[0] {
				t.Errorf("%s\nis another architecture than\n%s", messages[i], messages[0])
			}
			if before, ok := of[id]; ok && before != group {
				t.Errorf("%s\nis the architecture of group %d", messages[i], before)
			}
			of[id] = group
		}
	}
}

// TestAttributesOfRows: attributes follow their nodes through sorting, pruning,
// second cells, edges and records.
func TestAttributesOfRows(t *testing.T) {
	c := decodeAll(t,
		`{"space":"dag","ops":[{"op":"output","n":0},{"op":"dead","n":1},{"op":"b","n":2,"z":true,"a":"x"},{"op":"input","n":3}],"edges":[[2,0],[3,2],[3,1]],"hyperparameters":{"lr":0.5,"h":[1,"y"]}}`,
		`{"space":"dag",`+chain+`}`,
		`{"space":"dag","ops":["input",{"op":"a","n":1}],"edges":[[0,1]],"ops_reduce":[{"op":"b","n":2},{"op":"input","n":3}],"edges_reduce":[[1,0]]}`,
		`{"space":"dag","edges":[[0,1],[1,2]],"edge_ops":[{"op":"a","n":1},{"op":"b","n":2}]}`,
		`{"space":"dag","ops":["input",{"op":"m","n":0},"output"],"edges":[[0,1,{"op":"a","n":1}],[1,2]]}`,
		`{"space":"s","hyperparameters":{"depth":12,"act":"gelu","pre":false}}`,
	)
	for range c.Space {
		c.Append(0, 0, nil, nil)
	}
	r := c.Record()
	defer r.Release()
	view := ViewCandidates(r)
	for i, want := range [][2]string{
		{`"ops":[{"op":"input","n":3},{"op":"dead","n":1},{"op":"b","a":"x","n":2,"z":true},{"op":"output","n":0}],"edges":[[2,3],[0,2],[0,1]],"hyperparameters":{"h.0":1,"h.1":"y","lr":0.5}`,
			`"ops":[{"op":"input","n":3},{"op":"b","a":"x","n":2,"z":true},{"op":"output","n":0}],"edges":[[1,2],[0,1]],"hyperparameters":{"h.0":1,"h.1":"y","lr":0.5}`},
		{chain, chain},
		{`"ops":["input",{"op":"a","n":1}],"edges":[[0,1]],"ops_reduce":[{"op":"input","n":3},{"op":"b","n":2}],"edges_reduce":[[0,1]]`, ""},
		{`"ops":["input",{"op":"a","n":1},{"op":"b","n":2},"output"],"edges":[[0,1],[1,2],[2,3]]`, ""},
		{`"ops":["input",{"op":"a","n":1},{"op":"m","n":0},"output"],"edges":[[0,1],[1,2],[2,3]]`, ""},
		{`"hyperparameters":{"act":"gelu","depth":12,"pre":false}`, ""},
	} {
		whole, network := view.Graphs.At(i), view.Networks.At(i)
		if got := string(AppendArchitecture(nil, &whole)); got != want[0] {
			t.Errorf("row %d is\n%s\nwant\n%s", i, got, want[0])
		}
		if got := string(AppendArchitecture(nil, &network)); want[1] != "" && got != want[1] {
			t.Errorf("the network of row %d is\n%s\nwant\n%s", i, got, want[1])
		}
	}
	if x := view.Graphs.At(0); len(x.Hyperparameters()) != 3 || len(x.OfNodes()) != 6 {
		t.Errorf("%d hyperparameters, %d attributes", len(x.Hyperparameters()), len(x.OfNodes()))
	}
	none := decodeAll(t, `{"space":"dag",`+chain+`}`)
	none.Append(0, 0, nil, nil)
	r2 := none.Record()
	defer r2.Release()
	if v := ViewCandidates(r2); v.Graphs.AttributeStart != nil || v.Graphs.Attributes != nil || v.Networks.AttributeStart != nil || v.Graphs.NameStart != nil || v.Graphs.AttributesOf(0) != nil {
		t.Error("columns for nothing")
	}
}

// TestEdgeOperationsAreNB201: nb201 as operations on edges is the graph that its
// notation gives.
func TestEdgeOperationsAreNB201(t *testing.T) {
	c := decodeAll(t, `{"space":"nb201",`+nb201Arch+`}`,
		`{"space":"nb201","edges":[[0,1],[0,2],[1,2],[0,3],[1,3],[2,3]],"edge_ops":["avg_pool_3x3","nor_conv_1x1","none","nor_conv_1x1","skip_connect","skip_connect"]}`)
	if c.Architecture[0] != c.Architecture[1] || c.Network[0] != c.Network[1] {
		t.Error(fmt.Sprint(c.Graphs))
	}
}

// Attributes of nodes on no path from input to output are pruned with them.
func TestNetworkHasNoAttributesOfPrunedNodes(t *testing.T) {
	row := func(dead string) string {
		return `{"space":"dag","ops":["input",{"op":"a","n":1},` + dead + `,"output"],"edges":[[0,1],[0,2],[1,3]]}`
	}
	c := decodeAll(t, row(`{"op":"b","noise":0.25}`), row(`{"op":"b","noise":0.75}`), row(`"b"`))
	for i := range c.Network {
		if c.Network[i] != c.Network[0] {
			t.Errorf("row %d is another network for an attribute of a node that is pruned", i)
		}
		if i > 0 && c.Architecture[i] == c.Architecture[0] {
			t.Errorf("row %d is the same architecture", i)
		}
	}
}
