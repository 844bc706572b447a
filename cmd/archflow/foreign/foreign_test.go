package foreign

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"archflow/schemas"
)

// message builds a protocol buffer.
type message []byte

func (m message) bytes(number protowire.Number, value []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), value)
}

func (m message) text(number protowire.Number, value string) message {
	return m.bytes(number, []byte(value))
}

func (m message) varint(number protowire.Number, value uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), value)
}

func ints(name string, values ...uint64) message {
	m := message{}.text(1, name)
	for _, v := range values {
		m = m.varint(8, v)
	}
	return m
}

func value(name string, dims ...uint64) message {
	var shape message
	for _, d := range dims {
		shape = shape.bytes(1, message{}.varint(1, d))
	}
	return message{}.text(1, name).bytes(2, message{}.bytes(1, message{}.varint(1, 1).bytes(2, shape)))
}

func tensor(name string, dims ...uint64) message {
	var m message
	for _, d := range dims {
		m = m.varint(1, d)
	}
	return m.varint(2, 1).text(8, name).bytes(9, make([]byte, 64))
}

func node(op string, inputs, outputs []string, attributes ...message) message {
	var m message
	for _, in := range inputs {
		m = m.text(1, in)
	}
	for _, out := range outputs {
		m = m.text(2, out)
	}
	m = m.text(4, op)
	for _, a := range attributes {
		m = m.bytes(5, a)
	}
	return m
}

// model is a convolution with a folded bias, a residual and a classifier.
func model() []byte {
	epsilon := message(protowire.AppendFixed32(protowire.AppendTag(message{}.text(1, "epsilon"), 2, protowire.Fixed32Type), math.Float32bits(1e-5)))
	shape := message{}.varint(1, 1).varint(2, 7).text(8, "size").bytes(9, []byte{8, 0, 0, 0, 0, 0, 0, 0})
	var g message
	g = g.bytes(1, node("ConstantOfShape", []string{"size"}, []string{"bias"})).
		bytes(1, node("Conv", []string{"x", "w", "bias"}, []string{"c"}, ints("kernel_shape", 3, 3), ints("strides", 2, 1), message{}.text(1, "group").varint(3, 2), message{}.text(1, "auto_pad").text(4, "SAME"))).
		bytes(1, node("BatchNormalization", []string{"c", "bias"}, []string{"n"}, epsilon)).
		bytes(1, node("Add", []string{"n", "n"}, []string{"a"})).
		bytes(1, node("If", []string{"a"}, []string{"i"}, message{}.text(1, "then_branch").bytes(6, nil))).
		bytes(1, node("Gemm", []string{"i", "fc"}, []string{"y"}, message{}.text(1, "transB").varint(3, 1))).
		text(2, "net").
		bytes(5, tensor("w", 8, 3, 3, 3)).bytes(5, tensor("fc", 10, 8)).bytes(5, shape).
		bytes(11, value("x", 1, 6, 32, 32)).bytes(11, value("w", 8, 3, 3, 3)).bytes(12, value("y", 1, 10))
	return message{}.varint(1, 8).bytes(7, g)
}

// dynamo is a linear layer over positions, a mean and a classifier in the form of
// PyTorch's newer exporter: weights outside the file, of another layout than the product
// needs, axes as a tensor, named dimensions, and notes on the model, nodes and values.
func dynamo() []byte {
	note := message{}.text(1, "pkg.torch.onnx.fx_node").text(2, "%linear : [num_users=1]")
	outside := func(name string, dims ...uint64) message {
		var m message
		for _, d := range dims {
			m = m.varint(1, d)
		}
		return m.varint(2, 1).text(8, name).bytes(13, message{}.text(1, "location").text(2, "net.onnx.data")).varint(14, 1)
	}
	noted := func(name string, m message) message {
		return m.text(3, name).text(7, "").text(8, "").bytes(9, note)
	}
	batch := message{}.bytes(1, message{}.text(2, "s77")).bytes(1, message{}.varint(1, 49)).bytes(1, message{}.varint(1, 64))
	x := message{}.text(1, "x").bytes(2, message{}.bytes(1, message{}.varint(1, 1).bytes(2, batch)))
	axes := message{}.varint(1, 1).varint(2, 7).text(8, "val_2").bytes(9, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	var g message
	g = g.bytes(1, noted("node_Transpose_1", node("Transpose", []string{"fc.weight"}, []string{"val_0"}, ints("perm", 1, 0)))).
		bytes(1, noted("node_MatMul_2", node("MatMul", []string{"x", "val_0"}, []string{"val_1"}))).
		bytes(1, noted("node_linear", node("Add", []string{"val_1", "fc.bias"}, []string{"linear"}))).
		bytes(1, noted("node_mean", node("ReduceMean", []string{"linear", "val_2"}, []string{"mean"}, message{}.text(1, "keepdims").varint(3, 0).varint(20, 2)))).
		bytes(1, noted("node_linear_1", node("Gemm", []string{"mean", "head.weight", "head.bias"}, []string{"linear_1"}, message{}.text(1, "transB").varint(3, 1).varint(20, 2)))).
		text(2, "main_graph").
		bytes(5, outside("fc.weight", 128, 64)).bytes(5, outside("fc.bias", 128)).
		bytes(5, outside("head.weight", 10, 128)).bytes(5, outside("head.bias", 10)).bytes(5, axes).
		bytes(11, x).bytes(12, value("linear_1", 1, 10)).bytes(13, value("linear", 1, 49, 128)).bytes(16, note)
	return message{}.varint(1, 10).text(2, "pytorch").text(3, "2.9.0").bytes(7, g).
		bytes(8, message{}.text(1, "").varint(2, 20)).bytes(14, note)
}

func TestRead(t *testing.T) {
	for _, x := range []struct{ name, file, want, left string }{
		{"models/net.onnx", string(model()),
			`{"space":"onnx","id":"net","ops":[{"op":"input","shape.1":6,"shape.2":32,"shape.3":32},{"auto_pad":"SAME","group":2,"in_channels":6,"kernel_shape":3,"op":"Conv","out_channels":8,"strides.0":2,"strides.1":1},{"channels":8,"epsilon":0.00001,"op":"BatchNormalization"},"Add","If",{"in_features":8,"op":"Gemm","out_features":10,"transB":1},"output"],"edges":[[0,1],[1,2],[2,3],[3,4],[4,5],[5,6]]}`,
			"then_branch"},
		{"net.onnx", string(dynamo()),
			`{"space":"onnx","id":"net","ops":[{"op":"input","shape.1":49,"shape.2":64},{"in_features":64,"op":"MatMul","out_features":128},"Add",{"keepdims":0,"op":"ReduceMean"},{"in_features":128,"op":"Gemm","out_features":10,"transB":1},"output"],"edges":[[0,1],[1,2],[2,3],[3,4],[4,5]]}`,
			"weights alone (Transpose)"},
		{"genotypes.py", "Genotype = namedtuple('Genotype', 'normal normal_concat')\n# comment\nBest = Genotype(\n  normal = [\n    ('a', 1),\n    ('b', 0)],\n  normal_concat = [2])\n",
			`{"space":"darts","id":"Best","ops":["c_k-2","c_k-1","a","b","output"],"edges":[[1,2],[0,3],[2,4],[3,4]]}`, ""},
		{"naslib.txt", "(4, 0, 3, 1, 4, 3)\n", `{"space":"nb201","arch":"(4, 0, 3, 1, 4, 3)"}`, ""},
		{"naslib.json", "[[4, 0, 3, 1, 4, 3]]", `{"space":"nb201","arch":[4,0,3,1,4,3]}`, ""},
		{"naslib.json", "[4, 0, 3, 1, 4, 3]", `{"space":"nb201","arch":[4,0,3,1,4,3]}`, ""},
		{"nb201.json", `{"arch_str":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|","x":1}`, `{"space":"nb201","arch":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}`, `member "x"`},
		{"nb101.json", `{"module_adjacency":[[0,1],[0,0]],"module_operations":["input","output"],"params":3}`,
			`{"space":"nb101","module_adjacency":[[0,1],[0,0]],"module_operations":["input","output"]}`, `member "params"`},
		{"nb101.jsonl", `{"id":7,"matrix":[[0,1],[0,0]],"ops":["input","output"]}`, `{"space":"nb101","id":7,"module_adjacency":[[0,1],[0,0]],"module_operations":["input","output"]}`, ""},
		{"graph.json", `{"directed":true,"multigraph":false,"graph":{"n":1},"nodes":[{"id":"in","op":"input"},{"id":"c","op":"conv","k":3,"pad":[1,2],"w":{}},{"id":"out","op":"output"}],"links":[{"source":"in","target":"c"},{"source":"c","target":"out","op":"skip","p":0.5}]}`,
			`{"space":"dag","ops":["input",{"k":3,"op":"conv","pad.0":1,"pad.1":2},"output",{"op":"skip","p":0.5}],"edges":[[0,1],[1,3],[3,2]]}`, `"w" of nodes`},
		{"nni.json", `{"normal/op_2_0":"a","normal/input_2_0":[0],"normal/op_2_1":"b","normal/input_2_1":[1],"other":1}`,
			`{"space":"darts","ops":["c_k-2","c_k-1","a","b","output"],"edges":[[0,2],[1,3],[2,4],[3,4]]}`, `member "other"`},
		{"my sizes.csv", "id,depth,act,ema,acc,flops\na,3,relu,True,91.5,7\n",
			`{"space":"my-sizes","id":"a","hyperparameters":{"act":"relu","depth":3,"ema":true},"proxies":{"flops":7},"labels":{"acc":91.5}}`, ""},
		{"sizes.csv", "lr,acc\n1e-3,nan\n", `{"space":"sizes","hyperparameters":{"lr":0.001}}`, `"acc"`},
	} {
		o := Options{}
		if strings.HasSuffix(x.name, ".csv") {
			o.Labels = []string{"acc"}
			if strings.Contains(x.file, "flops") {
				o.Proxies = []string{"flops"}
			}
		}
		got, left, err := Read(x.name, []byte(x.file), o)
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %d candidates, %v", x.name, len(got), err)
			continue
		}
		text, err := json.Marshal(got[0])
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != x.want {
			t.Errorf("%s gives\n%s\nwant\n%s", x.name, text, x.want)
		}
		if said := strings.Join(left, "; "); !strings.Contains(said, x.left) || x.left == "" && said != "" {
			t.Errorf("%s: left out is %q, want %q", x.name, said, x.left)
		}
		var c schemas.Candidates
		if r := schemas.NewDecoder(schemas.Limits{}).Candidate(&c, text); r != nil {
			t.Errorf("%s: %s", x.name, r)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, x := range []struct{ name, file, reason string }{
		{"a.onnx", "not a model", "not an ONNX model"},
		{"a.onnx", string(message{}.varint(1, 8)), "no graph"},
		{"a.onnx", string(message{}.bytes(7, message{}.bytes(1, node("Relu", []string{"gone"}, []string{"y"})))), `reads "gone"`},
		{"a.csv", "", "names of columns"},
		{"a.csv", "a,b,a\n1,2,3\n", `two columns are named "a"`},
		{"a.csv", "a;b\n1;2\n", "separate columns by commas"},
		{"a.py", "x = Genotype(normal=[", "closing bracket"},
		{"a.json", `{"what":1}`, "none of the known forms"},
		{"a.json", `{"nodes":[{"id":0}],"links":[]}`, "has no operation"},
		{"a.json", `{"nodes":[{"id":0,"op":"a"}],"links":[{"source":0,"target":5}]}`, "is no node"},
		{"a.txt", "hello", "none of the forms"},
	} {
		if _, _, err := Read(x.name, []byte(x.file), Options{}); err == nil || !strings.Contains(err.Error(), x.reason) {
			t.Errorf("%s %q: %v, want %q", x.name, x.file, err, x.reason)
		}
	}
	if _, _, err := Read("a.csv", []byte("a,b\n1,2\n"), Options{Labels: []string{"c"}}); err == nil || !strings.Contains(err.Error(), `no column "c"`) {
		t.Error(err)
	}
}

// FuzzRead: no file makes the import fail otherwise than with an error.
func FuzzRead(f *testing.F) {
	f.Add("a.onnx", model())
	f.Add("a.csv", []byte("id,a\n1,2\n"))
	f.Add("a.py", []byte("A = Genotype(normal=[('a', 0), ('b', 1)], normal_concat=range(2, 3))"))
	f.Add("a.json", []byte(`{"nodes":[{"id":0,"op":"a"}],"links":[]}`))
	f.Add("a.json", []byte(`[[4,0,3,1,4,3]]`))
	f.Fuzz(func(t *testing.T, name string, file []byte) {
		candidates, _, err := Read(name, file, Options{})
		if err != nil {
			return
		}
		for _, c := range candidates {
			if _, err := json.Marshal(c); err != nil {
				t.Fatal(err)
			}
		}
	})
}
