package main

import (
	"strings"
	"testing"

	"archflow/ops"
)

func TestTopShowsAttributes(t *testing.T) {
	s := &ops.State{Best: []ops.BestState{{ID: "a", Space: "own", Task: "acc", Cells: []ops.Cell{{
		Ops: []string{"input", "conv", "conv", "conv", "output"}, Notes: []string{"", "kernel 3", "kernel 3", "kernel 5", ""}, Hyperparameters: "lr 0.1, widths 16 32",
	}}}, {ID: "b", Space: "nb201", Task: "acc", Cells: []ops.Cell{{Ops: []string{"input", "output"}}}}}}
	var lines []string
	for _, l := range screenLines(s) {
		lines = append(lines, l.text)
	}
	text := strings.Join(lines, "\n")
	if !strings.Contains(text, "      lr 0.1, widths 16 32; conv (kernel 3) x 2; conv (kernel 5)\n  nb201") {
		t.Error(text)
	}
}
