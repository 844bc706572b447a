package foreign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Options complete a file.
type Options struct {
	Space   string   // of the candidates; "" for the format's own
	Labels  []string // columns of CSV that are results
	Proxies []string // columns of CSV that are zero-cost proxies
}

// Candidate is a candidate message. Members that are nil are left out.
type Candidate struct {
	Space           string                     `json:"space"`
	ID              any                        `json:"id,omitempty"`
	Arch            json.RawMessage            `json:"arch,omitempty"`
	Ops             []Op                       `json:"ops,omitempty"`
	Edges           [][2]int                   `json:"edges,omitzero"`
	OpsReduce       []Op                       `json:"ops_reduce,omitempty"`
	EdgesReduce     [][2]int                   `json:"edges_reduce,omitzero"`
	Matrix          json.RawMessage            `json:"module_adjacency,omitempty"`
	MatrixOps       json.RawMessage            `json:"module_operations,omitempty"`
	Hyperparameters map[string]any             `json:"hyperparameters,omitempty"`
	Proxies         map[string]float64         `json:"proxies,omitempty"`
	Labels          map[string]float64         `json:"labels,omitempty"`
	Meta            map[string]json.RawMessage `json:"meta,omitempty"`
}

// Op is an operation and its attributes: numbers, booleans and strings.
type Op struct {
	Name       string
	Attributes map[string]any
}

// MarshalJSON writes the name alone where there are no attributes.
func (o Op) MarshalJSON() ([]byte, error) {
	if len(o.Attributes) == 0 {
		return json.Marshal(o.Name)
	}
	members := map[string]any{}
	for name, value := range o.Attributes {
		members[name] = value
	}
	members["op"] = o.Name
	return json.Marshal(members)
}

// dropped counts the parts of a file that candidates cannot express.
type dropped struct {
	what   []string
	counts map[string]int
}

func (d *dropped) add(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if d.counts == nil {
		d.counts = map[string]int{}
	}
	if d.counts[what]++; d.counts[what] == 1 {
		d.what = append(d.what, what)
	}
}

// list returns sentences, the first ones of many.
func (d *dropped) list() []string {
	const most = 20
	var out []string
	for _, what := range d.what[:min(len(d.what), most)] {
		if n := d.counts[what]; n > 1 {
			what = fmt.Sprintf("%s (%d times)", what, n)
		}
		out = append(out, what)
	}
	if more := len(d.what) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d things more", more))
	}
	return out
}

// Read returns the candidates of a file and what of it they leave out.
func Read(name string, file []byte, o Options) (candidates []Candidate, left []string, err error) {
	var d dropped
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	switch extension := strings.ToLower(filepath.Ext(name)); {
	case extension == ".onnx":
		candidates, err = readONNX(name, file, &d)
	case extension == ".csv" || extension == ".tsv":
		candidates, err = readCSV(name, file, extension == ".tsv", o, &d)
	case bytes.Contains(file, []byte("Genotype(")) && !json.Valid(firstLine(file)):
		candidates, err = readGenotypes(file, &d)
	case len(bytes.TrimSpace(file)) > 0 && bytes.ContainsAny(bytes.TrimSpace(file)[:1], "[{(S|"):
		candidates, err = readText(file, &d)
	default:
		err = fmt.Errorf("none of the forms that are known: ONNX (.onnx), CSV (.csv, .tsv), DARTS genotypes, NASLib tuples, NAS-Bench-101 modules, node-link JSON")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range candidates {
		if o.Space != "" {
			candidates[i].Space = o.Space
		}
	}
	return candidates, d.list(), nil
}

func firstLine(file []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(file), []byte("\n"))
	return line
}

// stem returns a file's name as the name of a space may be.
func stem(name string) string {
	base := filepath.Base(name)
	base = strings.TrimSuffix(base, filepath.Ext(base))
	base = strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, base)
	if base = base[:min(len(base), 64)]; strings.Trim(base, ".-") == "" {
		return "csv"
	}
	return base
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
