package tables

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/cli"
	"archflow/internal/input"
)

// Tables with named columns hold space, and arch or, as JSON, ops and edges
// (and ops_reduce and edges_reduce); labels and proxies are columns of numbers
// that --label and --proxy name.

// columnRows turns the rows of such a table into those of a JSON table.
type columnRows struct {
	to      *reader
	names   []string
	label   string
	proxies []string
}

// columns checks that a table has the columns of the flags.
func (r *reader) columns(names []string) (*columnRows, error) {
	c := &columnRows{to: r, names: names, label: r.Label}
	if !r.NoProxies {
		c.proxies = r.Proxies
	}
	if c.label == "" {
		return nil, cli.Refuse(fmt.Errorf("%s has columns: say with --label which of them to predict (%s)", r.name, strings.Join(names, ", ")))
	}
	for _, name := range append([]string{c.label}, c.proxies...) {
		if !slices.Contains(names, name) {
			return nil, cli.Refuse(fmt.Errorf("column %q is unknown: %s has %s", name, r.name, strings.Join(names, ", ")))
		}
	}
	return c, nil
}

// add takes a row of cells, "" where one is null.
func (c *columnRows) add(cells []string) error {
	row := map[string]any{"space": "dag"}
	labels, proxies := map[string]*float64{}, map[string]float64{}
	for i, name := range c.names {
		text := cells[i]
		if name == c.label || slices.Contains(c.proxies, name) {
			value, known, err := cellNumber(text)
			if err != nil {
				return fmt.Errorf("column %q: %w", name, err)
			}
			if name == c.label {
				labels[name] = nil
				if known {
					labels[name] = &value
				}
			} else if known {
				proxies[name] = value
			}
			continue
		}
		if text == "" {
			continue
		}
		switch name {
		case "space", "arch":
			row[name] = text
		case "ops", "edges", "ops_reduce", "edges_reduce":
			if !json.Valid([]byte(text)) {
				return fmt.Errorf("column %q: %.60q is not JSON, such as [\"input\", \"output\"] or [[0, 1]]", name, text)
			}
			row[name] = json.RawMessage(text)
		}
	}
	row["labels"], row["proxies"] = labels, proxies
	line, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return c.to.line(line)
}

// cellNumber reads a number; known is false for an empty cell and for NaN.
func cellNumber(text string) (value float64, known bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	value, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0, false, fmt.Errorf("%.40q is not a number; leave the cell empty where there is none", text)
	}
	return value, value-value == 0, nil
}

func (r *reader) readCSV(in io.Reader) error {
	source, err := input.Open(r.name, in)
	if err != nil {
		return err
	}
	defer source.Close()
	rows := csv.NewReader(source)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("%s: no line with the names of the columns: %w", r.name, err)
	}
	c, err := r.columns(slices.Clone(head))
	if err != nil {
		return err
	}
	for {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.add(cells)
		}
		if err != nil {
			number, _ := rows.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", r.name, number, err)
		}
	}
}

func (r *reader) readParquet() error {
	file, err := os.Open(r.name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := r.parquetRows(file, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

func (r *reader) parquetRows(file io.ReaderAt, size int64) (err error) {
	defer input.Damaged(&err)
	table, err := parquet.OpenFile(file, size)
	if err != nil {
		return fmt.Errorf("not Parquet: %w", err)
	}
	var names []string
	for _, path := range table.Schema().Columns() {
		names = append(names, strings.Join(path, "."))
	}
	c, err := r.columns(names)
	if err != nil {
		return err
	}
	number := 0
	for _, group := range table.RowGroups() {
		rows := group.Rows()
		err := eachParquetRow(rows, len(names), func(cells []string) error {
			number++
			return c.add(cells)
		})
		if err = errors.Join(err, rows.Close()); err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
	}
	return nil
}

// eachParquetRow calls f with the cells of every row as text, "" for null and for cells
// of several values.
func eachParquetRow(rows parquet.Rows, columns int, f func(cells []string) error) error {
	buffer, cells := make([]parquet.Row, 64), make([]string, columns)
	for {
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			clear(cells)
			row.Range(func(column int, values []parquet.Value) bool {
				if len(values) == 1 && !values[0].IsNull() {
					cells[column] = values[0].String()
				}
				return true
			})
			if err := f(cells); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
