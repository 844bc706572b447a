package foreign

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// readCSV makes a candidate of every row: the columns id, space and arch are
// what they say, those named in o are labels and proxies, all others are
// hyperparameters.
func readCSV(name string, file []byte, tabs bool, o Options, d *dropped) (out []Candidate, err error) {
	r := csv.NewReader(bytes.NewReader(file))
	if tabs {
		r.Comma = '\t'
	}
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("no line with the names of columns: %w", err)
	}
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	if err := distinct(header); err != nil {
		return nil, err
	}
	for _, column := range slices.Concat(o.Labels, o.Proxies) {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("no column %q; there are %s", column, strings.Join(header, ", "))
		}
	}
	space := stem(name)
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		c := Candidate{Space: space, Hyperparameters: map[string]any{}, Labels: map[string]float64{}, Proxies: map[string]float64{}}
		for i, cell := range row {
			if err := c.cell(header[i], strings.TrimSpace(cell), o, d); err != nil {
				at, _ := r.FieldPos(i)
				return nil, fmt.Errorf("line %d: %w", at, err)
			}
		}
		out = append(out, c)
	}
}

// distinct refuses columns that would become one hyperparameter.
func distinct(header []string) error {
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t|") {
		return fmt.Errorf("one column named %q: separate columns by commas, in .tsv by tabs", header[0])
	}
	for i, column := range header {
		if column != "" && slices.Contains(header[:i], column) {
			return fmt.Errorf("two columns are named %q: rename or remove one", column)
		}
	}
	return nil
}

func (c *Candidate) cell(column, cell string, o Options, d *dropped) error {
	number, err := strconv.ParseFloat(cell, 64)
	isNumber := err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
	labels, proxies := slices.Contains(o.Labels, column), slices.Contains(o.Proxies, column)
	switch {
	case cell == "":
	case column == "":
		d.add("a column without a name")
	case column == "id":
		c.ID = cell
	case column == "space":
		c.Space = cell
	case column == "arch":
		text, err := json.Marshal(cell)
		if err != nil {
			return err
		}
		c.Arch = text
	case (labels || proxies) && !isNumber:
		d.add("values of column %q that are no numbers", column)
	case labels:
		c.Labels[column] = number
	case proxies:
		c.Proxies[column] = number
	case isNumber:
		c.Hyperparameters[column] = number
	case err == nil:
		d.add("values of column %q that are not finite", column)
	case strings.EqualFold(cell, "true"), strings.EqualFold(cell, "false"):
		c.Hyperparameters[column] = strings.EqualFold(cell, "true")
	default:
		c.Hyperparameters[column] = cell
	}
	return nil
}
