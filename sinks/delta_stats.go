package sinks

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	parquetformat "github.com/parquet-go/parquet-go/format"
)

// fileStats is the form of the statistics in the log.
type fileStats struct {
	NumRecords int64            `json:"numRecords"`
	MinValues  map[string]any   `json:"minValues,omitempty"`
	MaxValues  map[string]any   `json:"maxValues,omitempty"`
	NullCount  map[string]int64 `json:"nullCount,omitempty"`
}

const (
	statsText = 32 // characters of a text that statistics keep, as Delta has it
	statsTime = "2006-01-02T15:04:05.000000Z"

	indexedColumns = "delta.dataSkippingNumIndexedCols"
	statsColumns   = "delta.dataSkippingStatsColumns"
)

// scalar is a column of a table that statistics are kept of.
type scalar struct{ name, typ string }

// scalars returns the columns of a table that the log has statistics of: every
// one that holds one value a row, because delta-rs answers filters wrongly, and
// in silence, where some columns have statistics and others none; fewer only
// where the table's properties say so.
func scalars(m metaData) ([]scalar, error) {
	schema, err := parseSchema(m)
	if err != nil {
		return nil, err
	}
	limit := math.MaxInt
	if n, err := strconv.Atoi(m.Configuration[indexedColumns]); err == nil && n >= 0 {
		limit = n
	}
	var chosen []string
	if list := m.Configuration[statsColumns]; list != "" {
		chosen, limit = strings.Split(list, ","), math.MaxInt
	}
	var list []scalar
	at := 0
	for _, field := range fieldsOf(schema) {
		name, _ := field["name"].(string)
		if slices.Contains(m.PartitionColumns, name) {
			continue
		}
		at++
		typ, plain := field["type"].(string)
		if plain && at <= limit && (chosen == nil || slices.Contains(chosen, name)) {
			list = append(list, scalar{name, typ})
		}
	}
	return list, nil
}

// footerStats returns the statistics of a data file, of the statistics of its
// column chunks. A column that the file lacks is null in all of its rows.
func footerStats(footer *parquetformat.FileMetaData, columns []scalar) fileStats {
	s := fileStats{footer.NumRows, map[string]any{}, map[string]any{}, map[string]int64{}}
	leaf := map[string]int{}
	for i, path := range leafPaths(footer.Schema) {
		if len(path) == 1 {
			leaf[path[0]] = i
		}
	}
	for _, c := range columns {
		i, ok := leaf[c.name]
		if !ok {
			s.NullCount[c.name] = footer.NumRows
			continue
		}
		var low, high any
		known, nulls := true, int64(0)
		for g := range footer.RowGroups {
			chunk := &footer.RowGroups[g].Columns[i].MetaData
			nulls += chunk.Statistics.NullCount
			if chunk.Statistics.NullCount == chunk.NumValues {
				continue
			}
			a, okA := statsValue(c.typ, chunk.Statistics.MinValue)
			b, okB := statsValue(c.typ, chunk.Statistics.MaxValue)
			none := chunk.Statistics.MaxValue == nil && !strings.HasPrefix(footer.CreatedBy, createdBy)
			if known = known && okA && okB && !none; !known {
				break
			}
			if low == nil || compareStats(a, low) < 0 {
				low = a
			}
			if high == nil || compareStats(b, high) > 0 {
				high = b
			}
		}
		s.NullCount[c.name] = nulls
		if known && low != nil {
			s.MinValues[c.name], s.MaxValues[c.name] = statsForm(c.typ, low, false), statsForm(c.typ, high, true)
		}
	}
	return s
}

// text returns the statistics as the log has them.
func (s fileStats) text() string {
	body, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("statistics of a file: %v", err)) // made of finite numbers and texts
	}
	return string(body)
}

// statsValue decodes a bound of a column chunk, which Parquet keeps in its plain
// encoding; false for types that the log cannot express.
func statsValue(typ string, plain []byte) (any, bool) {
	switch typ {
	case "string":
		return string(plain), true // of ours, none is an empty one
	case "integer":
		if len(plain) == 4 {
			return int64(int32(binary.LittleEndian.Uint32(plain))), true
		}
	case "long", "timestamp":
		if len(plain) == 8 {
			return int64(binary.LittleEndian.Uint64(plain)), true
		}
	case "double":
		if len(plain) == 8 {
			v := math.Float64frombits(binary.LittleEndian.Uint64(plain))
			return v, !math.IsNaN(v) && !math.IsInf(v, 0)
		}
	case "float":
		if len(plain) == 4 {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(plain)))
			return v, !math.IsNaN(v) && !math.IsInf(v, 0)
		}
	case "boolean":
		if len(plain) == 1 {
			return plain[0] != 0, true
		}
	}
	return nil, false
}

// compareStats orders two bounds of one column.
func compareStats(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		b := b.(int64)
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
	case float64:
		b := b.(float64)
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
	case bool:
		b := b.(bool)
		switch {
		case !a && b:
			return -1
		case a && !b:
			return 1
		}
	}
	return 0
}

// statsForm returns a bound as the log has it. Times keep their microseconds: a
// maximum that is cut below a row's value loses the row in most readers.
func statsForm(typ string, v any, upper bool) any {
	switch v := v.(type) {
	case int64:
		if typ == "timestamp" {
			return time.UnixMicro(v).UTC().Format(statsTime)
		}
	case string:
		return cutText(v, upper)
	}
	return v
}

// cutText returns the first characters of a long text; as an upper bound with
// the greatest character behind them, which no text that they begin exceeds.
func cutText(s string, upper bool) string {
	end := 0
	for n := 0; n < statsText && end < len(s); n++ {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	if end == len(s) || !upper {
		return s[:end]
	}
	for strings.HasPrefix(s[end:], string(utf8.MaxRune)) {
		end += utf8.UTFMax
	}
	return s[:end] + string(utf8.MaxRune)
}
