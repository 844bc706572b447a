package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// oracle reads the same fields with encoding/json, an occurrence at a time.
func oracle(value []byte, label bool) (*message, error) {
	if !utf8.Valid(value) {
		return nil, fmt.Errorf("not UTF-8")
	}
	if !json.Valid(value) {
		return nil, fmt.Errorf("not JSON")
	}
	if deepest(value) > 64 {
		return nil, fmt.Errorf("too deep")
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %v, %w", open, err)
	}
	m := &message{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		if err := m.oracleField(name.(string), raw, label); err != nil {
			return nil, fmt.Errorf("%v: %w", name, err)
		}
	}
	return m, nil
}

func deepest(value []byte) int {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	depth, largest := 0, 0
	for {
		token, err := dec.Token()
		if err != nil {
			return largest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			largest = max(largest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func (m *message) oracleField(name string, raw []byte, label bool) (err error) {
	null := string(raw) == "null"
	text := func(dst *[]byte) {
		var s *string
		if err = json.Unmarshal(raw, &s); err == nil {
			*dst = nil
			if s != nil {
				*dst = append([]byte{}, *s...)
			}
		}
	}
	any := func(dst *[]byte, limit int) {
		*dst = nil
		if !null {
			*dst = raw
			if len(raw) > limit {
				err = fmt.Errorf("too long")
			}
		}
	}
	switch name {
	case "space":
		text(&m.space)
	case "arch":
		if m.arch = raw; raw[0] != '[' {
			text(&m.arch)
		}
	case "id":
		any(&m.id, 4096)
	case "ops":
		m.ops, err = oracleNames(raw)
		m.hasOps = !null
	case "ops_reduce":
		m.opsReduce, err = oracleNames(raw)
		m.hasOpsReduce = !null
	case "edges":
		m.edges, err = oracleEdges(raw, true)
		m.hasEdges = !null
	case "edge_ops":
		m.extra.edgeOps, err = oracleNames(raw)
		m.extra.hasEdgeOps = !null
	case "hyperparameters":
		err = oracleHyperparameters(raw)
		m.extra.hasHyperparameters = !null
	case "edges_reduce":
		m.edgesReduce, err = oracleEdges(raw, false)
		m.hasEdgesReduce = !null
	}
	f := &m.label
	switch {
	case label && name == "task":
		text(&f.task)
	case label && name == "architecture":
		text(&f.architecture)
	case label && name == "goal":
		text(&f.goal)
	case label && name == "value":
		f.value = 0
		f.hasValue, f.withdrawn = true, null
		err = json.Unmarshal(raw, &f.value)
	case label && name == "failed":
		f.failed = false
		err = json.Unmarshal(raw, &f.failed)
	case label && name == "fidelity":
		f.hasFidelity, f.fidelity = !null, 0
		err = json.Unmarshal(raw, &f.fidelity)
	case label && name == "of":
		text(&f.of)
	case label && name == "seed":
		f.seed = nil
		if c := raw[0]; null {
			break
		} else if f.seed = AppendIDText(nil, raw); c != '"' && c != '-' && !isDigit(c) || len(f.seed) == 0 || len(f.seed) > 256 {
			err = fmt.Errorf("no seed")
		}
	case !label && name == "meta":
		any(&m.meta, 1<<16)
	case !label && name == "proxies":
		err = m.oracleProxies(raw)
	}
	return err
}

func oracleNames(raw []byte) (names [][]byte, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for _, element := range list {
		name, err := oracleOperation(element)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// oracleOperation reads a name or an object with one.
func oracleOperation(raw json.RawMessage) ([]byte, error) {
	var s *string
	if len(raw) > 0 && raw[0] == '{' {
		members, err := oracleMembers(raw)
		if err != nil {
			return nil, err
		}
		attributes := 0
		values := map[string]json.RawMessage{}
		for _, x := range members {
			if x.name == "op" {
				if x.value[0] != '"' {
					return nil, fmt.Errorf("op is no string")
				}
				if err := json.Unmarshal(x.value, &s); err != nil {
					return nil, err
				}
				continue
			}
			if delete(values, x.name); string(x.value) == "null" {
				continue
			}
			if attributes = len(values); attributes == 64 {
				return nil, fmt.Errorf("too many attributes")
			}
			if values[x.name] = x.value; !oracleValue(x.name, x.value) {
				return nil, fmt.Errorf("attribute %q", x.name)
			}
		}
	} else if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	if s == nil || *s == "" || len(*s) > 256 {
		return nil, fmt.Errorf("no name")
	}
	return []byte(*s), nil
}

type oracleMember struct {
	name  string
	value json.RawMessage
}

func oracleMembers(raw []byte) (members []oracleMember, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %v, %w", open, err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, oracleMember{name.(string), value})
	}
	return members, nil
}

// oracleValue reports whether an attribute may have the value.
func oracleValue(name string, raw json.RawMessage) bool {
	var value any
	if name == "" || len(name) > 256 || json.Unmarshal(raw, &value) != nil {
		return false
	}
	switch x := value.(type) {
	case string:
		return len(x) <= 256
	case float64, bool:
		return true
	}
	return false
}

func oracleHyperparameters(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	members, err := oracleMembers(raw)
	if err != nil {
		return err
	}
	values := map[string]int{} // how many each gives
	room := func() bool {
		n := 0
		for _, x := range values {
			n += x
		}
		return n < 1024
	}
	for _, x := range members {
		if delete(values, x.name); string(x.value) == "null" {
			continue
		}
		list := []json.RawMessage{x.value}
		if x.value[0] == '[' {
			if err := json.Unmarshal(x.value, &list); err != nil {
				return err
			}
		}
		for i, value := range list {
			name := x.name
			if x.value[0] == '[' {
				name = fmt.Sprintf("%s.%d", name, i)
			}
			if !room() || !oracleValue(name, value) {
				return fmt.Errorf("hyperparameter %q", name)
			}
			values[x.name]++
		}
	}
	return nil
}

func oracleEdges(raw []byte, thirds bool) (edges []int32, err error) {
	var list [][]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for _, edge := range list {
		if thirds && len(edge) == 3 && (edge[2][0] == '"' || edge[2][0] == '{') {
			if _, err := oracleOperation(edge[2]); err != nil {
				return nil, err
			}
			edge = edge[:2]
		}
		if len(edge) != 2 {
			return nil, fmt.Errorf("no edge")
		}
		for _, end := range edge {
			var x *float64
			if err := json.Unmarshal(end, &x); err != nil || x == nil || *x < 0 || *x > math.MaxInt32 || *x != math.Trunc(*x) {
				return nil, fmt.Errorf("no edge: %w", err)
			}
			edges = append(edges, int32(*x))
		}
	}
	return edges, nil
}

func (m *message) oracleProxies(raw []byte) error {
	m.proxies, m.values, m.newProxies, m.withdrawn = nil, nil, nil, nil
	if string(raw) == "null" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("not an object: %v, %w", open, err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var x *float64
		if err := dec.Decode(&x); err != nil {
			return err
		}
		if len(name.(string)) > 256 || len(m.proxies) == 64 {
			return fmt.Errorf("too many or too long")
		}
		place := len(m.proxies)
		m.proxies, m.newProxies = append(m.proxies, NoSymbol), append(m.newProxies, newProxy{place, []byte(name.(string))})
		if x == nil {
			m.withdrawn = append(m.withdrawn, place)
			x = new(float64)
		}
		m.values = append(m.values, *x)
	}
	return nil
}

// proxyNames returns the names of the proxies as they were read.
func (m *message) proxyNames() []string {
	var names []string
	for _, symbol := range m.proxies {
		names = append(names, Name(symbol))
	}
	for _, p := range m.newProxies {
		names[p.place] = string(p.name)
	}
	return names
}

// same compares decoded values; empty and nil slices of a list are the same, those of a
// string are not.
func (m *message) same(o *message) bool {
	for _, x := range [][2]*[]byte{{&m.space, &o.space}, {&m.arch, &o.arch}, {&m.id, &o.id}, {&m.meta, &o.meta},
		{&m.label.task, &o.label.task}, {&m.label.architecture, &o.label.architecture}, {&m.label.goal, &o.label.goal},
		{&m.label.seed, &o.label.seed}, {&m.label.of, &o.label.of}} {
		if (*x[0] == nil) != (*x[1] == nil) || !bytes.Equal(*x[0], *x[1]) {
			return false
		}
	}
	sameNames := func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }
	bits := func(list []float64) []uint64 {
		var out []uint64
		for _, x := range list {
			out = append(out, math.Float64bits(x))
		}
		return out
	}
	f, g := &m.label, &o.label
	return sameNames(m.extra.edgeOps, o.extra.edgeOps) && m.extra.hasEdgeOps == o.extra.hasEdgeOps && m.extra.hasHyperparameters == o.extra.hasHyperparameters &&
		sameNames(m.ops, o.ops) && sameNames(m.opsReduce, o.opsReduce) && slices.Equal(m.proxyNames(), o.proxyNames()) &&
		slices.Equal(m.edges, o.edges) && slices.Equal(m.edgesReduce, o.edgesReduce) && slices.Equal(m.withdrawn, o.withdrawn) &&
		reflect.DeepEqual(bits(m.values), bits(o.values)) &&
		m.hasOps == o.hasOps && m.hasOpsReduce == o.hasOpsReduce && m.hasEdges == o.hasEdges && m.hasEdgesReduce == o.hasEdgesReduce &&
		math.Float64bits(f.value) == math.Float64bits(g.value) && f.hasValue == g.hasValue && f.withdrawn == g.withdrawn &&
		f.failed == g.failed && f.hasFidelity == g.hasFidelity && math.Float64bits(f.fidelity) == math.Float64bits(g.fidelity)
}

// compareWithOracle checks that the decoder accepts the same messages as encoding/json
// and reads the same from them.
func compareWithOracle(t *testing.T, d *Decoder, value []byte, label bool) {
	t.Helper()
	want, err := oracle(value, label)
	ok := d.read(value, label)
	if ok && err != nil && (bytes.Contains(value, []byte("NaN")) || bytes.Contains(value, []byte("Infinity"))) {
		return // ignored fields may hold them
	}
	if ok != (err == nil) {
		t.Fatalf("decoder: %v, encoding/json: %v\n%q", d.failed, err, value)
	}
	if ok && !d.m.same(want) {
		t.Fatalf("decoder reads\n%+v, encoding/json\n%+v\n%q", d.m, *want, value)
	}
}

func FuzzCandidate(f *testing.F) {
	for _, e := range candidateExamples() {
		if len(e.value) < 1<<12 {
			f.Add([]byte(e.value))
		}
	}
	d := NewDecoder(Limits{})
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > 1<<16 {
			return
		}
		compareWithOracle(t, d, value, false)
		var c Candidates
		before := shape(&c)
		r := d.Candidate(&c, value)
		if r == nil {
			checkRow(t, d, &c, 0)
			checkWritten(t, d, &c)
			return
		}
		if !slices.Contains(Classes, r.Class) || !strings.Contains(r.Reason, " ") || !utf8.ValidString(r.Reason) {
			t.Fatalf("%+v", r)
		}
		if !reflect.DeepEqual(before, shape(&c)) {
			t.Fatal("a rejection changed the columns")
		}
	})
}

// checkWritten writes the only row as a message and reads it again.
func checkWritten(t *testing.T, d *Decoder, c *Candidates) {
	t.Helper()
	g := c.Graphs.At(0)
	value := append(appendString([]byte(`{"space":`), c.NameOf(0, c.Space[0])), ',')
	value = append(AppendArchitecture(value, &g), '}')
	if r := NewDecoder(d.limits).Candidate(c, value); r != nil {
		t.Fatalf("%s: %s", value, r)
	}
	if c.Architecture[0] != c.Architecture[1] || c.Network[0] != c.Network[1] {
		t.Fatalf("%s is another architecture", value)
	}
}

func FuzzLabel(f *testing.F) {
	for _, e := range labelExamples() {
		f.Add([]byte(e.value))
	}
	d := NewDecoder(Limits{})
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > 1<<16 {
			return
		}
		compareWithOracle(t, d, value, true)
		l, r := d.Label(value)
		if r != nil {
			if !slices.Contains(Classes, r.Class) || !utf8.ValidString(r.Reason) {
				t.Fatalf("%+v", r)
			}
			return
		}
		if l.Task == "" || l.ID == nil && !l.HasArchitecture || l.HasGraph && (l.Graph.Len() != 1 || l.Pruned.Len() != 1) || math.IsNaN(l.Value) || math.IsInf(l.Value, 0) {
			t.Fatalf("%+v", l)
		}
	})
}

// FuzzNotation writes the graph of a notation and reads it again.
func FuzzNotation(f *testing.F) {
	for i, s := range spaces {
		for _, x := range notations {
			if x.space == s.Name {
				f.Add(i, x.arch)
			}
		}
	}
	d := NewDecoder(Limits{})
	f.Fuzz(func(t *testing.T, space int, arch string) {
		if space < 0 || space >= len(spaces) || len(arch) > 1<<12 {
			return
		}
		name := spaces[space].Name
		value, err := json.Marshal(map[string]string{"space": name, "arch": arch})
		if err != nil {
			t.Fatal(err)
		}
		var c Candidates
		if r := d.Candidate(&c, value); r != nil {
			if !slices.Contains(Classes, r.Class) || !utf8.ValidString(r.Reason) {
				t.Fatalf("%+v", r)
			}
			return
		}
		checkRow(t, d, &c, 0)
		checkWritten(t, d, &c)
	})
}
