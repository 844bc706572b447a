// Package tables reads benchmark tables for experiments: JSON Lines as they are
// published, and CSV and Parquet whose columns are named.
package tables

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"archflow/encoders/experiment"
	"archflow/internal/cli"
	"archflow/internal/input"
	"archflow/schemas"
)

// Options select the columns to read.
type Options struct {
	Label     string         // that is predicted; the first of a JSON table without it
	Lower     string         // the label of a cheaper training, if any
	Minimise  bool           // less of the labels is better
	AsGiven   bool           // the labels measure the graphs as given and not the networks
	Proxies   []string       // columns of CSV and Parquet that are proxies
	NoProxies bool           // leave them out
	Limits    schemas.Limits // of a row
	LineBytes int            // the longest line of JSON
}

// reader gathers the rows of a benchmark table.
type reader struct {
	Options
	name    string
	decoder *schemas.Decoder
	rows    schemas.Candidates
	labels  []map[string]float64 // of each row, finite ones only
	names   []string             // of labels, in the order in which they were met
	known   map[string]bool
	hash    hash.Hash // of the rows
}

// Read returns the table of a file, "-" for JSON on in, with the name of its label and
// a hash of its rows. A label or column that it lacks is a cli.Refusal.
func Read(name string, in io.Reader, o Options) (table *experiment.Table, label, sum string, err error) {
	r := &reader{Options: o, name: name, decoder: schemas.NewDecoder(o.Limits), known: map[string]bool{}, hash: sha256.New()}
	switch {
	case strings.HasSuffix(input.UnpackedName(name), ".csv"):
		err = r.readCSV(in)
	case strings.HasSuffix(name, ".parquet"):
		err = r.readParquet()
	default:
		err = input.EachLineOf(name, in, o.LineBytes, func(file string, number int, line []byte) error {
			if err := r.line(line); err != nil {
				return fmt.Errorf("%s:%d: %w", file, number, err)
			}
			return nil
		})
	}
	if err != nil {
		return nil, "", "", err
	}
	if len(r.labels) == 0 {
		return nil, "", "", fmt.Errorf("%s has no rows", name)
	}
	if len(r.names) == 0 {
		return nil, "", "", cli.Refuse(fmt.Errorf(`%s has no labels: rows carry them as "labels": {"NAME": value}`, name))
	}
	if label = o.Label; label == "" {
		label = r.names[0]
	}
	if !r.known[label] {
		return nil, "", "", cli.Refuse(fmt.Errorf("label %q is unknown: %s has %s", label, name, strings.Join(r.names, ", ")))
	}
	if table, err = r.table(label); err != nil {
		return nil, "", "", fmt.Errorf("%s: %w", name, err)
	}
	if o.Lower != "" {
		if !r.known[o.Lower] {
			return nil, "", "", cli.Refuse(fmt.Errorf("label %q of a cheaper training is unknown: %s has %s", o.Lower, name, strings.Join(r.names, ", ")))
		}
		table.Lower, _ = r.column(o.Lower)
	}
	return table, label, hex.EncodeToString(r.hash.Sum(nil)[:16]), nil
}

// NotJSON are the tokens that tables write where a number is missing.
var NotJSON = regexp.MustCompile(`:\s*(NaN|-?Infinity)`)

// line takes a row of JSON.
func (r *reader) line(line []byte) error {
	r.hash.Write(line)
	r.hash.Write([]byte{'\n'})
	if refused := r.decoder.Candidate(&r.rows, line); refused != nil {
		return refused
	}
	var row struct {
		Labels json.RawMessage `json:"labels"`
	}
	if err := json.Unmarshal(NotJSON.ReplaceAll(line, []byte(":null")), &row); err != nil {
		return fmt.Errorf("not a row of a benchmark table: %w", err)
	}
	labels := map[string]float64{}
	err := EachField(row.Labels, func(name string, value *float64) {
		if !r.known[name] {
			r.known[name] = true
			r.names = append(r.names, name)
		}
		if value != nil {
			labels[name] = *value
		}
	})
	if err != nil {
		return fmt.Errorf(`"labels" must be numbers by name: %w`, err)
	}
	r.labels = append(r.labels, labels)
	return nil
}

// EachField calls f with the numbers of an object in their order, nil for null.
func EachField(object []byte, f func(name string, value *float64)) error {
	if len(object) == 0 || string(object) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errors.New("not an object"))
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value *float64
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("%v: %w", name, err)
		}
		f(name.(string), value)
	}
	return nil
}

// column returns a label of all rows, more is better, NaN where there is none, and
// how many there are.
func (r *reader) column(label string) (values []float64, known int) {
	for _, labels := range r.labels {
		v, ok := labels[label]
		if !ok || math.IsInf(v, 0) {
			v = math.NaN()
		} else {
			known++
		}
		if r.Minimise {
			v = -v
		}
		values = append(values, v)
	}
	return values, known
}

// table puts the rows together.
func (r *reader) table(label string) (*experiment.Table, error) {
	n := len(r.labels)
	t := &experiment.Table{Space: schemas.Name(r.rows.Space[0]), Graphs: r.rows.Graphs, Networks: r.rows.Networks, Network: r.rows.Network, Minimise: r.Minimise}
	if r.AsGiven {
		t.Networks, t.Network = t.Graphs, r.rows.Architecture
	}
	for i, space := range r.rows.Space {
		if space != r.rows.Space[0] {
			return nil, fmt.Errorf("row %d is of space %q, the first of %q; give one space at a time", i, schemas.Name(space), t.Space)
		}
	}
	var known int
	if t.Label, known = r.column(label); known < 10 {
		return nil, fmt.Errorf("%d rows have a label %q; an experiment needs at least 10", known, label)
	}
	if r.NoProxies {
		return t, nil
	}
	column := map[string]int{}
	for i := range n {
		r.rows.Proxies(i, func(symbol schemas.Symbol, v float64) {
			name := schemas.Name(symbol)
			at, ok := column[name]
			if !ok {
				at = len(t.Proxies)
				column[name] = at
				values := make([]float64, n)
				for j := range values {
					values[j] = math.NaN()
				}
				t.Proxies = append(t.Proxies, experiment.Proxy{Name: name, Values: values})
			}
			t.Proxies[at].Values[i] = v
		})
	}
	slices.SortFunc(t.Proxies, func(a, b experiment.Proxy) int { return strings.Compare(a.Name, b.Name) })
	return t, nil
}
