package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// An ONNX file is a protocol buffer, of which a few fields say what the graph
// is. Their numbers are those of onnx.proto (onnx/onnx, Apache-2.0).

// onnxGraph holds the fields of a GraphProto that are used.
type onnxGraph struct {
	name    string
	nodes   []onnxNode
	weights map[string][]int64 // the shapes of initializers, nil where it is not known
	values  map[string][]int64 // the numbers of those that are short and whole
	inputs  []onnxValue
	outputs []onnxValue
}

type onnxNode struct {
	op, name        string
	inputs, outputs []string
	attributes      map[string]any // scalars and lists of them
	dropped         []string
}

type onnxValue struct {
	name  string
	shape []int64 // -1 where a dimension has a name
}

// fields calls f with every field of a message.
func fields(message []byte, f func(number protowire.Number, kind protowire.Type, value []byte, word uint64) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value []byte
		var word uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			word, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(message)
			word = uint64(short)
		case protowire.Fixed64Type:
			word, n = protowire.ConsumeFixed64(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(number, kind, value, word); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// whole adds the numbers of a repeated field, packed or not.
func whole(dst []int64, kind protowire.Type, value []byte, word uint64) ([]int64, error) {
	if kind == protowire.VarintType {
		return append(dst, int64(word)), nil
	}
	for len(value) > 0 {
		x, n := protowire.ConsumeVarint(value)
		if n < 0 {
			return dst, protowire.ParseError(n)
		}
		dst, value = append(dst, int64(x)), value[n:]
	}
	return dst, nil
}

func readONNX(name string, file []byte, d *dropped) ([]Candidate, error) {
	var graph []byte
	err := fields(file, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if number == 7 && kind == protowire.BytesType {
			graph = value
		}
		return nil
	})
	if err == nil && graph == nil {
		err = errors.New("there is no graph in it")
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	g, err := parseONNX(graph)
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	c, err := g.candidate(d)
	c.ID = stem(name)
	return []Candidate{c}, err
}

func parseONNX(message []byte) (*onnxGraph, error) {
	g := &onnxGraph{weights: map[string][]int64{}, values: map[string][]int64{}}
	err := fields(message, func(number protowire.Number, _ protowire.Type, value []byte, _ uint64) (err error) {
		switch number {
		case 1:
			var node onnxNode
			node, err = parseNode(value)
			g.nodes = append(g.nodes, node)
		case 2:
			g.name = string(value)
		case 5:
			var t onnxTensor
			t, err = parseTensor(value)
			g.weights[t.name] = t.shape
			if t.values != nil {
				g.values[t.name] = t.values
			}
		case 11, 12:
			var v onnxValue
			if v, err = parseValue(value); number == 11 {
				g.inputs = append(g.inputs, v)
			} else {
				g.outputs = append(g.outputs, v)
			}
		}
		return err
	})
	return g, err
}

func parseNode(message []byte) (node onnxNode, err error) {
	node.attributes = map[string]any{}
	err = fields(message, func(number protowire.Number, _ protowire.Type, value []byte, _ uint64) error {
		switch number {
		case 1:
			node.inputs = append(node.inputs, string(value))
		case 2:
			node.outputs = append(node.outputs, string(value))
		case 3:
			node.name = string(value)
		case 4:
			node.op = string(value)
		case 5:
			return node.attribute(value)
		}
		return nil
	})
	return node, err
}

// attribute reads an AttributeProto. Of tensors there is the shape alone, of
// graphs nothing.
func (n *onnxNode) attribute(message []byte) error {
	var name string
	var value any
	var list []any
	other := ""
	err := fields(message, func(number protowire.Number, kind protowire.Type, raw []byte, word uint64) error {
		switch number {
		case 1:
			name = string(raw)
		case 2:
			value = short(uint32(word))
		case 3:
			value = float64(int64(word))
		case 4:
			value = string(raw)
		case 5:
			other = "a tensor"
		case 6, 11:
			other = "a graph"
		case 7:
			for ; kind == protowire.BytesType && len(raw) >= 4; raw = raw[4:] {
				x, _ := protowire.ConsumeFixed32(raw)
				list = append(list, short(x))
			}
			if kind == protowire.Fixed32Type {
				list = append(list, short(uint32(word)))
			}
		case 8:
			numbers, err := whole(nil, kind, raw, word)
			if err != nil {
				return err
			}
			for _, x := range numbers {
				list = append(list, float64(x))
			}
		case 9:
			list = append(list, string(raw))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if list != nil {
		value = list
	}
	if other != "" {
		n.dropped = append(n.dropped, fmt.Sprintf("attribute %q of %s, %s", name, n.op, other))
		return nil
	}
	n.attributes[name] = value
	return nil
}

// short returns a float32 as the float64 with its shortest decimal.
func short(bits uint32) float64 {
	x := math.Float32frombits(bits)
	decimal, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x)
	}
	return decimal
}

// onnxTensor holds the fields of a TensorProto that are used.
type onnxTensor struct {
	name   string
	shape  []int64
	values []int64 // of a short one of int64
}

func parseTensor(message []byte) (t onnxTensor, err error) {
	const int64Type, short = 7, 16
	var raw []byte
	typ := uint64(0)
	err = fields(message, func(number protowire.Number, kind protowire.Type, value []byte, word uint64) (err error) {
		switch number {
		case 1:
			t.shape, err = whole(t.shape, kind, value, word)
		case 2:
			typ = word
		case 7:
			if len(value) <= 10*short {
				t.values, err = whole(t.values, kind, value, word)
			}
		case 8:
			t.name = string(value)
		case 9:
			raw = value
		}
		return err
	})
	if typ != int64Type || len(t.shape) != 1 {
		t.values = nil
	} else if t.values == nil && len(raw) <= 8*short {
		for ; len(raw) >= 8; raw = raw[8:] {
			t.values = append(t.values, int64(binary.LittleEndian.Uint64(raw)))
		}
	}
	return t, err
}

// folded notes the outputs of a node that computes from weights alone, which is
// no part of the architecture.
func (g *onnxGraph) folded(node *onnxNode) bool {
	for _, in := range node.inputs {
		if _, weight := g.weights[in]; in != "" && !weight {
			return false
		}
	}
	if len(node.inputs) == 0 && node.op != "Constant" {
		return false
	}
	for _, out := range node.outputs {
		g.weights[out] = nil
	}
	switch {
	case len(node.outputs) != 1:
	case node.op == "ConstantOfShape":
		g.weights[node.outputs[0]] = g.values[node.inputs[0]]
	case node.op == "Transpose":
		g.weights[node.outputs[0]] = transposed(g.weights[node.inputs[0]], node.attributes["perm"])
	case node.op == "Cast" || node.op == "Identity":
		g.weights[node.outputs[0]] = g.weights[node.inputs[0]]
	}
	return true
}

// transposed returns a shape in another order, backwards without one, and nil where the
// order does not fit.
func transposed(shape []int64, order any) []int64 {
	to, ok := order.([]any)
	if !ok {
		shape = slices.Clone(shape)
		slices.Reverse(shape)
		return shape
	}
	if len(to) != len(shape) {
		return nil
	}
	out := make([]int64, len(shape))
	for i, from := range to {
		at, ok := from.(float64)
		if !ok || at < 0 || at >= float64(len(shape)) {
			return nil
		}
		out[i] = shape[int(at)]
	}
	return out
}

// parseValue reads a ValueInfoProto: its name, and the shape of its tensor.
func parseValue(message []byte) (v onnxValue, err error) {
	inside := func(path ...protowire.Number) func([]byte, func([]byte) error) error {
		var walk func(part []byte, path []protowire.Number, f func([]byte) error) error
		walk = func(part []byte, path []protowire.Number, f func([]byte) error) error {
			if len(path) == 0 {
				return f(part)
			}
			return fields(part, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
				if number != path[0] || kind != protowire.BytesType {
					return nil
				}
				return walk(value, path[1:], f)
			})
		}
		return func(part []byte, f func([]byte) error) error { return walk(part, path, f) }
	}
	err = inside(1)(message, func(name []byte) error { v.name = string(name); return nil })
	if err != nil {
		return v, err
	}
	// type, tensor_type, shape, dim
	err = inside(2, 1, 2, 1)(message, func(dim []byte) error {
		size := int64(-1)
		err := fields(dim, func(number protowire.Number, kind protowire.Type, _ []byte, word uint64) error {
			if number == 1 && kind == protowire.VarintType {
				size = int64(word)
			}
			return nil
		})
		v.shape = append(v.shape, size)
		return err
	})
	return v, err
}

// candidate makes operations of the graph's nodes, and edges of its tensors.
func (g *onnxGraph) candidate(d *dropped) (Candidate, error) {
	c := Candidate{Space: "onnx", Edges: [][2]int{}}
	maker := map[string]int{} // of a tensor: the node
	for _, in := range g.inputs {
		if _, weight := g.weights[in.name]; weight {
			continue
		}
		attributes := map[string]any{}
		for i, size := range in.shape {
			if i > 0 && size >= 0 { // the first is the batch
				attributes[fmt.Sprintf("shape.%d", i)] = float64(size)
			}
		}
		maker[in.name] = len(c.Ops)
		c.Ops = append(c.Ops, Op{"input", attributes})
	}
	var read [][]string
	first := len(c.Ops)
	for _, node := range g.nodes {
		if g.folded(&node) {
			d.add("a node that computes from weights alone (%s)", node.op)
			continue
		}
		for _, what := range node.dropped {
			d.add("%s", what)
		}
		for _, out := range node.outputs {
			if out != "" {
				maker[out] = len(c.Ops)
			}
		}
		c.Ops = append(c.Ops, Op{node.op, g.attributesOf(&node, d)})
		read = append(read, node.inputs)
	}
	if len(g.weights) > 0 {
		d.add("the values of %d weights (their shapes are in the attributes)", len(g.weights))
	}
	seen := map[[2]int]bool{}
	join := func(from, to int) {
		if e := [2]int{from, to}; !seen[e] {
			seen[e] = true
			c.Edges = append(c.Edges, e)
		}
	}
	for i, inputs := range read {
		for _, in := range inputs {
			if from, made := maker[in]; made {
				join(from, first+i)
			} else if _, weight := g.weights[in]; in != "" && !weight {
				return c, fmt.Errorf("node %d reads %q, which nothing makes", i, in)
			}
		}
	}
	for _, out := range g.outputs {
		if from, made := maker[out.name]; made {
			join(from, len(c.Ops))
			c.Ops = append(c.Ops, Op{Name: "output"})
		}
	}
	return c, nil
}

// attributesOf returns what a node's operation is about: its own attributes, a
// list of equal numbers as one, and what the shapes of its weights say.
func (g *onnxGraph) attributesOf(node *onnxNode, d *dropped) map[string]any {
	out := map[string]any{}
	for _, name := range sortedKeys(node.attributes) {
		value := node.attributes[name]
		if list, ok := value.([]any); ok && len(list) > 0 && !slices.ContainsFunc(list, func(x any) bool { return x != list[0] }) {
			value = list[0]
		}
		if x, ok := value.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) || !addValue(out, name, value) {
			d.add("attribute %q of %s", name, node.op)
		}
	}
	var weight []int64
	at := -1
	for i, in := range node.inputs {
		if shape, ok := g.weights[in]; ok && shape != nil {
			weight, at = shape, i
			break
		}
	}
	group := 1.0
	if x, ok := node.attributes["group"].(float64); ok {
		group = x
	}
	switch {
	case at < 0:
	case strings.HasPrefix(node.op, "ConvTranspose") && len(weight) > 2:
		out["in_channels"], out["out_channels"] = float64(weight[0]), float64(weight[1])*group
	case strings.Contains(node.op, "Conv") && len(weight) > 2:
		out["out_channels"], out["in_channels"] = float64(weight[0]), float64(weight[1])*group
	case node.op == "Gemm" && len(weight) == 2 && at == 1:
		in, width := weight[0], weight[1]
		if node.attributes["transB"] == 1.0 {
			in, width = width, in
		}
		out["in_features"], out["out_features"] = float64(in), float64(width)
	case node.op == "MatMul" && len(weight) >= 2:
		out["in_features"], out["out_features"] = float64(weight[len(weight)-2]), float64(weight[len(weight)-1])
	case strings.HasSuffix(node.op, "Normalization") && len(weight) > 0:
		out["channels"] = float64(weight[0])
	}
	return out
}
