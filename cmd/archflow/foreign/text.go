package foreign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"archflow/schemas"
)

// readText reads JSON, one value or one a line, and lines of the texts in which
// NASLib and NATS-Bench print architectures.
func readText(file []byte, d *dropped) (out []Candidate, err error) {
	if json.Valid(file) {
		return readValue(file, d)
	}
	for number, text := range bytes.Split(file, []byte("\n")) {
		if text = bytes.TrimSpace(text); len(text) == 0 || text[0] == '#' {
			continue
		}
		more, err := readLine(text, d)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		out = append(out, more...)
	}
	return out, nil
}

func readLine(text []byte, d *dropped) ([]Candidate, error) {
	if json.Valid(text) {
		return readValue(text, d)
	}
	arch, err := json.Marshal(string(text))
	if err != nil {
		return nil, err
	}
	switch compact := strings.ReplaceAll(string(text), " ", ""); {
	case strings.HasPrefix(compact, "Structure("), strings.HasPrefix(compact, "|"), strings.HasPrefix(compact, "((('"):
		return []Candidate{{Space: "nb201", Arch: arch}}, nil
	case strings.HasPrefix(compact, "((("), strings.HasPrefix(compact, "[[("):
		return []Candidate{{Space: "nb301", Arch: arch}}, nil
	case strings.HasPrefix(compact, "("):
		return []Candidate{{Space: "nb201", Arch: arch}}, nil
	}
	return nil, fmt.Errorf("%.60q is neither JSON nor a tuple of NASLib", text)
}

// readValue reads a JSON value: an architecture or a list of them.
func readValue(value []byte, d *dropped) ([]Candidate, error) {
	value = bytes.TrimSpace(value)
	switch value[0] {
	case '{':
		return readObject(value, d)
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil || len(list) == 0 {
			return nil, fmt.Errorf("an empty list")
		}
		switch first := bytes.TrimSpace(list[0]); {
		case first[0] == '{', first[0] == '"', len(list) != 6 && first[0] == '[' && !nested(first), first[0] == '[' && len(list) != 2:
			var out []Candidate
			for i, x := range list {
				more, err := readValue(x, d)
				if err != nil {
					return nil, fmt.Errorf("element %d: %w", i, err)
				}
				out = append(out, more...)
			}
			return out, nil
		case first[0] == '[':
			return []Candidate{{Space: "nb301", Arch: value}}, nil
		}
		return []Candidate{{Space: "nb201", Arch: value}}, nil
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, err
		}
		if strings.Contains(text, "Genotype(") {
			return readGenotypes([]byte(text), d)
		}
		return readLine([]byte(text), d)
	}
	return nil, fmt.Errorf("%.60q is no architecture", value)
}

func nested(list []byte) bool {
	return bytes.HasPrefix(bytes.ReplaceAll(list, []byte(" "), nil), []byte("[["))
}

func readObject(value []byte, d *dropped) ([]Candidate, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, err
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if members[name] == nil {
				return false
			}
		}
		return true
	}
	switch {
	case has("nodes", "links"), has("nodes", "edges") && !has("ops"):
		c, err := readNodeLink(members, d)
		return []Candidate{c}, err
	case has("module_adjacency", "module_operations"):
		return []Candidate{{Space: "nb101", ID: idOf(members), Matrix: members["module_adjacency"], MatrixOps: members["module_operations"]}}, said(members, d, "module_adjacency", "module_operations", "id")
	case has("matrix", "ops"):
		return []Candidate{{Space: "nb101", ID: idOf(members), Matrix: members["matrix"], MatrixOps: members["ops"]}}, said(members, d, "matrix", "ops", "id")
	case has("arch") && bytes.HasPrefix(members["arch"], []byte("{")):
		var inner map[string]json.RawMessage
		if err := json.Unmarshal(members["arch"], &inner); err != nil {
			return nil, err
		}
		return readNNI(inner, d)
	case has("arch_str"):
		return []Candidate{{Space: "nb201", ID: idOf(members), Arch: members["arch_str"]}}, said(members, d, "arch_str", "id")
	case has("normal/op_2_0"):
		return readNNI(members, d)
	}
	return nil, fmt.Errorf("an object of none of the known forms; it has %s", strings.Join(sortedKeys(members), ", "))
}

// idOf returns the id of an object, nil without.
func idOf(members map[string]json.RawMessage) any {
	if id := members["id"]; id != nil {
		return id
	}
	return nil
}

// said notes the members that nothing reads.
func said(members map[string]json.RawMessage, d *dropped, read ...string) error {
	for _, name := range sortedKeys(members) {
		known := false
		for _, r := range read {
			known = known || r == name
		}
		if !known {
			d.add("member %q", name)
		}
	}
	return nil
}

// readNNI reads the architecture that NNI exports of DARTS: "normal/op_2_0" and
// "normal/input_2_0" for the first operation of state 2, and so on.
func readNNI(members map[string]json.RawMessage, d *dropped) ([]Candidate, error) {
	var g schemas.Genotype
	read := map[string]bool{}
	for _, name := range []string{"normal", "reduce"} {
		cell := schemas.GenotypeCell{Name: name}
		for state := 2; members[name+"/op_"+strconv.Itoa(state)+"_0"] != nil; state++ {
			for k := range 2 {
				place := fmt.Sprintf("_%d_%d", state, k)
				var op string
				var from []int
				if err := json.Unmarshal(members[name+"/op"+place], &op); err != nil {
					return nil, fmt.Errorf("%s/op%s: %w", name, place, err)
				}
				if err := json.Unmarshal(members[name+"/input"+place], &from); err != nil || len(from) != 1 || from[0] < 0 || from[0] >= state {
					return nil, fmt.Errorf("%s/input%s: want a list of one state before %d", name, place, state)
				}
				read[name+"/op"+place], read[name+"/input"+place] = true, true
				cell.Ops, cell.From = append(cell.Ops, op), append(cell.From, from[0])
			}
		}
		if len(cell.Ops) > 0 {
			g.Cells = append(g.Cells, cell)
		}
	}
	if len(g.Cells) == 0 || g.Cells[0].Name != "normal" {
		return nil, fmt.Errorf(`no "normal/op_2_0" in it`)
	}
	for _, name := range sortedKeys(members) {
		if !read[name] {
			d.add("member %q", name)
		}
	}
	return []Candidate{genotype(&g)}, nil
}
