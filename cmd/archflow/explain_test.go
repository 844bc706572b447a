package main

import (
	"strings"
	"testing"

	"archflow/pipeline/inspect"
)

// TestStoryOfLabels: a failed training is no withdrawal, and a result of less than the
// full training shows that.
func TestStoryOfLabels(t *testing.T) {
	value, fidelity := .5, 10.
	s := inspect.Story{Places: make([]inspect.Place, 1), Labels: []inspect.StoryLabel{
		{Task: "acc", Value: &value, Seed: "3", Fidelity: &fidelity},
		{Task: "acc", Failed: true},
		{Task: "acc", Withdrawn: true, Seed: "3"},
		{Task: "acc"},
	}}
	var out strings.Builder
	if err := writeStory(&out, &s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"acc 0.5, seed 3, fidelity 10, ", "acc failed, ", "acc withdrawn, seed 3, ", "acc no number, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
