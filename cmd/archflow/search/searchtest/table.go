// Package searchtest makes a table for tests of searches.
package searchtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Table writes a benchmark table of 300 nb201 cells into dir. Its labels are made up:
// acc, which is to be high and whose best it returns, ms, which is to be low, and same,
// which is constant.
func Table(t *testing.T, dir string) (file string, best int) {
	t.Helper()
	names := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	var table bytes.Buffer
	for n := range 300 {
		var o [6]int
		for i, rest := 0, n*52; i < 6; i, rest = i+1, rest/5 {
			o[i] = rest % 5
		}
		value := 50 + 3*o[0] + 2*o[1] + o[2]
		best = max(best, value)
		fmt.Fprintf(&table, `{"space":"nb201","id":%d,"labels":{"acc":%d,"ms":%d,"same":1,"other": NaN},"arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`+"\n",
			n, value, 2*o[3]+o[4]+o[0], names[o[0]], names[o[1]], names[o[2]], names[o[3]], names[o[4]], names[o[5]])
	}
	file = filepath.Join(dir, "table.jsonl")
	if err := os.WriteFile(file, table.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, best
}
