package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"archflow/cmd/archflow/micro"
	"archflow/encoders/experiment/tables"
	"archflow/encoders/flow"
	"archflow/internal/input"
	"archflow/schemas"
)

// dataset is a benchmark table in memory.
type dataset struct {
	name  string
	file  string // "" for the one that ships
	lines [][]byte
	rows  schemas.Candidates
	// What pre-training learns from, and labels for a head.
	k      int
	flow   []float32
	proxy  []float32
	labels []float64
}

// microTable is the table that ships.
const microTable = "micro"

// taskOf is the label of each table that heads are fitted to.
var taskOf = map[string]string{
	"nb201": "cifar10_test", "nb101": "cifar10_valid", "nb301": "cifar10_valid_xgb09", microTable: "accuracy",
}

// table returns a table of the folder --data.
func (b *bench) table(name string) (*dataset, error) {
	if t := b.tables[name]; t != nil {
		return t, nil
	}
	t := &dataset{name: name}
	var err error
	if name == microTable {
		err = t.shipped()
	} else {
		t.file = filepath.Join(b.config.Data, name+".jsonl.gz")
		err = input.EachLineOf(t.file, nil, b.config.MaxMessageBytes, func(_ string, _ int, line []byte) error {
			t.lines = append(t.lines, append([]byte(nil), line...))
			return nil
		})
	}
	if missing(err) {
		return nil, skipped(fmt.Sprintf("%s is not there; --data names the folder of the benchmark tables", t.file))
	}
	if err == nil {
		err = t.read(b.config.Limits())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b.tables[name] = t
	return t, nil
}

// tableOr returns nb201, or the table that ships where it is not at hand.
func (b *bench) tableOr() (*dataset, error) {
	t, err := b.table("nb201")
	if _, absent := err.(skipped); absent { //nolint:errorlint // table returns it bare
		return b.table(microTable)
	}
	return t, err
}

func (t *dataset) shipped() error {
	rows, err := micro.Table()
	if err != nil {
		return err
	}
	for i := range rows {
		line, err := json.Marshal(&rows[i])
		if err != nil {
			return err
		}
		t.lines = append(t.lines, line)
	}
	return nil
}

// read decodes the lines and makes what training needs.
func (t *dataset) read(limits schemas.Limits) error {
	d := schemas.NewDecoder(limits)
	for i, line := range t.lines {
		if refused := d.Candidate(&t.rows, line); refused != nil {
			return fmt.Errorf("row %d: %w", i+1, refused)
		}
		var row struct {
			Labels json.RawMessage `json:"labels"`
		}
		if err := json.Unmarshal(tables.NotJSON.ReplaceAll(line, []byte(":null")), &row); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		label := math.NaN()
		if err := tables.EachField(row.Labels, func(name string, v *float64) {
			if name == taskOf[t.name] && v != nil {
				label = *v
			}
		}); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		t.labels = append(t.labels, label)
	}
	n := len(t.lines)
	t.k = 7
	t.flow = make([]float32, n*t.k)
	flow.New(flow.Config{K: t.k}).Surrogates(t.flow, &t.rows.Graphs)
	t.proxy = make([]float32, n)
	for i := range n {
		t.proxy[i] = float32(math.NaN())
		t.rows.Proxies(i, func(name schemas.Symbol, v float64) {
			switch schemas.Name(name) {
			case "params", "flops":
				t.proxy[i] = float32(v)
			}
		})
	}
	return nil
}

// operations returns the names of the operations in the order in which they
// are met.
func (t *dataset) operations() []string {
	var names []string
	seen := map[schemas.Symbol]bool{}
	for _, op := range t.rows.Graphs.Ops {
		if !seen[op] {
			seen[op] = true
			names = append(names, schemas.Name(op))
		}
	}
	return names
}
