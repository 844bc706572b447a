package main

import (
	"encoding/json"
	"strings"
	"testing"

	"archflow/encoders/metrics"
)

// TestEndToEndOnce is the main job: candidates and labels in, every candidate
// answered once in the topic and in the table, the second time by a model that
// has learnt.
func TestEndToEndOnce(t *testing.T) {
	onEach(t, func(t *testing.T, in *installation) {
		in.set("WIDTH", "32")
		in.set("BUFFER", "1500")
		in.set("EPOCHS", "4")
		in.ok("publish", "candidates", benchmark)
		in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "100", "--seed", "21")
		var summary struct{ Candidates, Predictions, Labels int64 }
		summarize := func() {
			t.Helper()
			if err := json.Unmarshal([]byte(in.ok("run", "--exit-at-end", "--json")), &summary); err != nil {
				t.Fatal(err)
			}
		}
		summarize()
		if summary.Candidates != benchmarkRows || summary.Predictions != benchmarkRows || summary.Labels != 100 {
			t.Errorf("the first summary: %+v", summary)
		}
		in.ok("publish", "candidates", benchmark)
		summarize()
		if summary.Candidates != benchmarkRows || summary.Predictions != benchmarkRows || summary.Labels != 0 {
			t.Errorf("the second summary: %+v", summary)
		}
		answers := in.everyCandidate(2*benchmarkRows, "deltalake", "polars", "duckdb")
		tau, n := in.secondPass(answers)
		t.Logf("Kendall tau of the second pass on %d unlabelled architectures: %.3f", n, tau)
		if n < benchmarkRows-100 || tau < .4 {
			t.Errorf("tau %.3f on %d unlabelled architectures, want .4 on %d", tau, n, benchmarkRows-100)
		}
	})
}

// secondPass returns Kendall's tau between the answers to the second half of
// each partition, which was published after the labels were learnt, and the
// benchmark, on the architectures that have no label.
func (in *installation) secondPass(answers map[place]answer) (tau float64, n int) {
	in.t.Helper()
	labelled := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(in.ok("read", "labels", "--json", "--from", "start", "--exit-at-end")), "\n") {
		var label struct{ Ops, Edges json.RawMessage }
		if err := json.Unmarshal([]byte(line), &label); err != nil {
			in.t.Fatal(err)
		}
		labelled[string(label.Ops)+string(label.Edges)] = true
	}
	if len(labelled) != 100 {
		in.t.Errorf("%d labels", len(labelled))
	}
	published := in.published()
	ends := map[int32]int64{}
	for at := range published {
		ends[at.Partition] = max(ends[at.Partition], at.Offset+1)
	}
	var truth, predicted []float64
	for at, value := range published {
		var row struct {
			Ops, Edges json.RawMessage
			Labels     struct{ Accuracy float64 }
		}
		if err := json.Unmarshal([]byte(value), &row); err != nil {
			in.t.Fatal(err)
		}
		if 2*at.Offset < ends[at.Partition] || labelled[string(row.Ops)+string(row.Edges)] {
			continue
		}
		v, answered := answers[at].Values["accuracy"]
		if !answered {
			in.t.Fatalf("%v of the second pass has no score", at)
		}
		truth, predicted = append(truth, row.Labels.Accuracy), append(predicted, v[0])
	}
	return metrics.KendallTau(truth, predicted), len(truth)
}
