package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// notations pairs architectures in their space's notation with the same as
// graphs, worked out by hand.
var notations = []struct{ space, arch, graph, networkOps string }{
	{"nb101", "4|0110000100010000|02",
		`"ops":["input","conv3x3-bn-relu","maxpool3x3","output"],"edges":[[0,1],[0,2],[1,3],[2,3]]`, "[input conv3x3-bn-relu maxpool3x3 output]"},
	{"nb101", "2|0100|", `"ops":["input","output"],"edges":[[0,1]]`, "[input output]"},
	{"nb101", "4|0100000100000000|10", // the last operation is wired to nothing
		`"ops":["input","conv1x1-bn-relu","conv3x3-bn-relu","output"],"edges":[[0,1],[1,3]]`, "[input conv1x1-bn-relu output]"},
	{"nb201", "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
		nb201Ops + "," + nb201Edges, "[input avg_pool_3x3 nor_conv_1x1 nor_conv_1x1 skip_connect skip_connect output]"},
	{"nb201", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", // nothing joins input and output
		`"ops":["input","none","none","none","none","none","none","output"],` + nb201Edges, "[input output]"},
	{"nb301", "[[(0,0),(1,1),(2,2),(0,3),(3,4),(1,5),(4,6),(2,0)],[(0,6),(0,6),(1,0),(0,0),(0,0),(0,0),(0,0),(0,0)]]",
		`"ops":["c_k-2","c_k-1","max_pool_3x3","avg_pool_3x3","skip_connect","sep_conv_3x3","sep_conv_5x5","dil_conv_3x3","dil_conv_5x5","max_pool_3x3","output"],
		"edges":[[0,2],[1,3],[2,4],[3,4],[0,5],[4,6],[5,6],[1,7],[6,8],[7,8],[2,9],[3,9],[2,10],[3,10],[4,10],[5,10],[6,10],[7,10],[8,10],[9,10]],
		"ops_reduce":["c_k-2","c_k-1","dil_conv_5x5","dil_conv_5x5","max_pool_3x3","max_pool_3x3","max_pool_3x3","max_pool_3x3","max_pool_3x3","max_pool_3x3","output"],
		"edges_reduce":[[0,2],[0,3],[1,4],[0,5],[0,6],[0,7],[0,8],[0,9],[2,10],[3,10],[4,10],[5,10],[6,10],[7,10],[8,10],[9,10]]`, ""},
	{"nbgraph", `[[0,0,1,3],["gat","gcn","fc","skip"]]`,
		`"ops":["input","gat","gcn","fc","skip","output"],"edges":[[0,1],[0,2],[1,3],[3,4],[2,5],[4,5]]`, "[input gat gcn fc skip output]"},
	{"nbnlp", `{"h_new_0": {"op": "activation_tanh", "input": ["f"]}, "f": {"input": ["x", "h_prev_1", "h_prev_0"], "op": "linear", "other": [1]}}`,
		`"ops":["input:x","hidden:h_prev_0","hidden:h_prev_1","linear","activation_tanh"],"edges":[[0,3],[1,3],[2,3],[3,4]]`,
		"[input:x hidden:h_prev_0 hidden:h_prev_1 linear activation_tanh]"},
	{"nb201", "(4, 0, 3, 1, 4, 3)", nb201Edges + `,"ops":["input","avg_pool_3x3","skip_connect","none","nor_conv_1x1","avg_pool_3x3","nor_conv_1x1","output"]`, ""},
	{"nb201", "[4,0,3,1,4,3]", nb201Edges + `,"ops":["input","avg_pool_3x3","skip_connect","none","nor_conv_1x1","avg_pool_3x3","nor_conv_1x1","output"]`, ""},
	{"nb201", "Structure(4 nodes with |nor_conv_1x1~0|+|skip_connect~0|avg_pool_3x3~1|+|avg_pool_3x3~0|nor_conv_3x3~1|none~2|)",
		nb201Edges + `,"ops":["input","nor_conv_1x1","skip_connect","avg_pool_3x3","avg_pool_3x3","nor_conv_3x3","none","output"]`, ""},
	{"nb201", "((('nor_conv_1x1', 0),), (('skip_connect', 0), ('avg_pool_3x3', 1)), (('avg_pool_3x3', 0), ('nor_conv_3x3', 1), ('none', 2)))",
		nb201Edges + `,"ops":["input","nor_conv_1x1","skip_connect","avg_pool_3x3","avg_pool_3x3","nor_conv_3x3","none","output"]`, ""},
	{"nb301", genotypeOfTwo("[2, 3, 4, 5]"), `"arch":"[[(0,3),(1,3),(0,3),(1,3),(1,3),(0,2),(0,2),(2,5)],[(0,0),(1,0),(2,2),(1,0),(0,0),(2,2),(2,2),(1,0)]]"`, ""},
	{"nb301", genotypeOfTwo("range(2, 6)"), `"arch":[[[0,3],[1,3],[0,3],[1,3],[1,3],[0,2],[0,2],[2,5]],[[0,0],[1,0],[2,2],[1,0],[0,0],[2,2],[2,2],[1,0]]]`, ""},
	{"nb301", "(((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)), ((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)))",
		`"arch":"` + genotypeOfTwo("[2, 3, 4, 5]") + `"`, ""},
	{"own", "Genotype(normal=[('skip_connect', 0), ('gat', 1), ('conv_1x1', 1), ('conv_1x1', 2)], normal_concat=range(1, 4))",
		`"ops":["c_k-2","c_k-1","skip_connect","gat","conv_1x1","conv_1x1","output"],"edges":[[0,2],[1,3],[1,4],[2,5],[3,5],[1,6],[2,6],[3,6],[4,6],[5,6]]`, ""},
	{"own", "Genotype(normal=[('a', 0), ('b', 1)], normal_concat=[2], reduce=(('a', 1), ('c', 0)), reduce_concat=(2,))",
		`"ops":["c_k-2","c_k-1","a","b","output"],"edges":[[0,2],[1,3],[2,4],[3,4]],"ops_reduce":["c_k-2","c_k-1","a","c","output"],"edges_reduce":[[1,2],[0,3],[2,4],[3,4]]`, ""},
	{"tnb101", "64-41414-1_02_333", nb201Edges + `,"ops":["input","skip_connect","none","nor_conv_1x1","nor_conv_3x3","nor_conv_3x3","nor_conv_3x3","output"],
		"hyperparameters":{"width":64,"skeleton":[4,1,4,1,4]}`, ""},
	{"tnb101", "64-124-basic", `"ops":["input","module","module_wide","module_wide_half","output"],"edges":[[0,1],[1,2],[2,3],[3,4]],"hyperparameters":{"width":64}`, ""},
	{"nats-sss", "16:40:56", `"ops":["input",{"op":"layer","width":16},{"op":"layer","width":40},{"op":"layer","width":56},"output"],"edges":[[0,1],[1,2],[2,3],[3,4]]`, ""},
	{"nbmacro", "02012100", `"ops":["input","identity",{"op":"mb6_k5","kernel":5,"expansion":6},"identity",{"op":"mb3_k3","kernel":3,"expansion":3},
		{"op":"mb6_k5","kernel":5,"expansion":6},{"op":"mb3_k3","kernel":3,"expansion":3},"identity","identity","output"],
		"edges":[[0,1],[1,2],[2,3],[3,4],[4,5],[5,6],[6,7],[7,8],[8,9]]`, ""},
	{"micro", "6|100001000100111|0124",
		`"ops":["input","linear","relu","tanh","skip","output"],"edges":[[0,1],[1,2],[2,3],[3,4],[3,5],[4,5]]`, ""},
}

// genotypeOfTwo returns the text of a Genotype of nb301 as DARTS prints it.
func genotypeOfTwo(concat string) string {
	return "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=" +
		concat + ", reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=" + concat + ")"
}

func TestNotations(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, x := range notations {
		var c Candidates
		arch, err := json.Marshal(x.arch)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{
			fmt.Sprintf(`{"space":%q,"arch":%s}`, x.space, arch),
			fmt.Sprintf(`{"space":%q,%s}`, x.space, x.graph),
		} {
			if r := d.Candidate(&c, []byte(value)); r != nil {
				t.Fatalf("%s\n%s", value, r)
			}
			checkRow(t, d, &c, len(c.Space)-1)
		}
		if c.Architecture[0] != c.Architecture[1] || c.Network[0] != c.Network[1] {
			a, e := c.Graphs.Graph(0)
			t.Errorf("%s %s reads as %v %v", x.space, x.arch, namesOf(a), e)
		}
		ops, _ := c.Networks.Graph(0)
		if got := fmt.Sprint(namesOf(ops)); x.networkOps != "" && got != x.networkOps {
			t.Errorf("%s %s: network %s, want %s", x.space, x.arch, got, x.networkOps)
		}
	}
}

// The example in a reason must be valid.
func TestSpaces(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, name := range SpaceNames() {
		s, ok := SpaceOf(name)
		if !ok || s.K == 0 || s.Std == 0 || Name(s.symbol) != name {
			t.Errorf("%s: %+v", name, s)
		}
		if s.parse == nil {
			continue
		}
		var c Candidates
		if r := d.Candidate(&c, []byte(`{"space":"`+name+`","arch":`+s.Notation+`}`)); r != nil {
			t.Errorf("%s: its own example is refused: %s", name, r)
		}
	}
	for name, valid := range map[string]bool{"nb102": true, "a": true, "A.b_c-9": true, strings.Repeat("x", 64): true,
		"": false, ".": false, "..": false, "a/b": false, "a b": false, "größe": false, strings.Repeat("x", 65): false} {
		if s, ok := SpaceOf(name); ok != valid || BuiltIn(name) || ok && (s.K != 8 || s.Name != name) {
			t.Errorf("space %q: %v, want %v", name, ok, valid)
		}
	}
	for name, like := range map[string]string{"nb210": "nb201", "nas-bench-201": "nb201", "NB101": "nb101", "nasbench301": "nb301", "nb_nlp": "nbnlp",
		"micr": "micro", "pit": "", "vit-size": "", "nb201": "", "mydag": "", "dog": ""} {
		if got := similarSpace(name); got != like {
			t.Errorf("%q is like %q, want %q", name, got, like)
		}
	}
	settings := map[string][2]float64{}
	for _, s := range spaces {
		settings[s.Name] = [2]float64{float64(s.K), s.Std}
	}
	want := map[string][2]float64{"nb101": {4, 1}, "nb201": {7, .1}, "nb301": {12, .1}, "nbgraph": {8, .1}, "nbnlp": {8, .1}, "micro": {8, .1}, "tnb101": {8, .1}, "nats-sss": {8, .1}, "nbmacro": {8, .1}, "dag": {8, .1}}
	if !reflect.DeepEqual(settings, want) {
		t.Errorf("surrogates are set to %v, want %v", settings, want)
	}
}

func TestPrune(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, x := range []struct{ what, graph, ops, edges string }{
		{"no names: sources and sinks", `"ops":["a","b","c"],"edges":[[0,1]]`, "[a b c]", "[0 1]"},
		{"an input that leads nowhere", `"ops":["input:x","hidden:h","a","output"],"edges":[[0,2],[2,3]]`, "[input:x hidden:h a output]", "[0 2 2 3]"},
		{"a source that is no input", `"ops":["bias","input","a","output"],"edges":[[0,2],[1,2],[2,3]]`, "[input a output]", "[0 1 1 2]"},
		{"a sink that is no output", `"ops":["input","a","b","output"],"edges":[[0,1],[1,2],[1,3]]`, "[input a output]", "[0 1 1 2]"},
		{"inputs in a row", `"ops":["input","input","a","output"],"edges":[[0,1],[0,2],[2,3]]`, "[input input a output]", "[0 2 2 3]"},
		{"only outputs named", `"ops":["a","b","output"],"edges":[[0,2]]`, "[a b output]", "[0 2]"},
		{"two cells", `"ops":["c_k-1","a","dead","output"],"edges":[[0,1],[1,3],[0,2]],"ops_reduce":["c_k-2","dead","output"],"edges_reduce":[[1,2],[0,2]]`,
			"[c_k-1 a output reduce:c_k-2 reduce:output]", "[0 1 1 2 3 4]"},
		{"a dag's operation may be called none", `"ops":["input","none","output"],"edges":[[0,1],[1,2]]`, "[input none output]", "[0 1 1 2]"},
	} {
		var c Candidates
		if r := d.Candidate(&c, []byte(`{"space":"dag",`+x.graph+`}`)); r != nil {
			t.Fatal(r)
		}
		checkRow(t, d, &c, 0)
		ops, edges := c.Networks.Graph(0)
		if fmt.Sprint(namesOf(ops)) != x.ops || fmt.Sprint(edges) != x.edges {
			t.Errorf("%s: %v %v, want %s %s", x.what, namesOf(ops), edges, x.ops, x.edges)
		}
	}
}
