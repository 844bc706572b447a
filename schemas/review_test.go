package schemas

import (
	"slices"
	"strings"
	"testing"
)

// TestReview: oddities of valid candidates and labels are reported once.
func TestReview(t *testing.T) {
	d := NewDecoder(Limits{})
	var r Review
	for _, m := range []string{
		`{"space":"nb210","id":1,"ops":["input","a","dead","output"],"edges":[[0,1],[1,3],[0,2]],"learning_rate":0.1,"labels":{}}`,
		`{"space":"nb210","id":"1","ops":["input","a","output"],"edges":[[0,1],[1,2]],"learning_rate":0.2,"proxies":{"p":NaN}}`,
		`{"space":"nb210","id":1.0,"ops":["input","a","output"],"edges":[[0,1],[1,2]]}`,
		`{"space":"fine","id":1,"hyperparameters":{"n":1}}`,
		`{"space":"fine","id":2,"hyperparameters":{"n":2}}`,
	} {
		var c Candidates
		if refused := d.Candidate(&c, []byte(m)); refused != nil {
			t.Fatal(refused)
		}
		r.Candidate(&c, 0)
	}
	for i, task := range []string{"cifar10_test", "cifar10_tset", "cifar100_test"} {
		for range []int{9, 1, 1}[i] {
			l, refused := d.Label([]byte(`{"space":"fine","id":1,"value":1,"task":"` + task + `"}`))
			if refused != nil {
				t.Fatal(refused)
			}
			r.Label(&l)
		}
	}
	said := d.Notices()
	for _, s := range r.Spaces {
		said = append(said, s.Notices()...)
	}
	for _, want := range []string{
		"members that nothing reads: learning_rate", "NaN or Infinity", `if "nb201" is meant`, `1 of 3 candidates have nodes on no path`,
		"all 3 candidates are one network", `1 times an id comes again with another architecture, the first "1"`, `task "cifar10_tset" has 1 labels; is it "cifar10_test"`,
	} {
		if n := len(slices.DeleteFunc(slices.Clone(said), func(s string) bool { return !strings.Contains(s, want) })); n != 1 {
			t.Errorf("%d times %q in\n%s", n, want, strings.Join(said, "\n"))
		}
	}
	if len(said) != 7 {
		t.Errorf("said\n%s", strings.Join(said, "\n"))
	}
	if again := d.Notices(); len(again) > 0 {
		t.Error(again)
	}
}

// The same attribute as a number and as a text is two things to learn.
func TestReviewOfMixedKinds(t *testing.T) {
	var review Review
	d := NewDecoder(Limits{})
	for _, message := range []string{
		`{"space":"own","hyperparameters":{"lr":0.1,"act":"relu","width":16}}`,
		`{"space":"own","hyperparameters":{"lr":"0.1","act":"gelu","width":32}}`,
	} {
		var c Candidates
		if refused := d.Candidate(&c, []byte(message)); refused != nil {
			t.Fatal(refused)
		}
		review.Candidate(&c, 0)
	}
	want := `space "own": a number in some candidates and a text in others, which are not the same: hyperparameter lr; write numbers without quotes`
	if got := review.Spaces[0].Notices(); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestReviewOfNumbersInQuotes: an attribute whose texts all read as numbers is named with
// the cure; one with a word among them, or numbers alone, is not.
func TestReviewOfNumbersInQuotes(t *testing.T) {
	var review Review
	d := NewDecoder(Limits{})
	for _, line := range []string{
		`{"space": "mine", "ops": ["input", {"op": "conv", "kernel": "3", "act": "relu"}, "output"], "edges": [[0, 1], [1, 2]], "hyperparameters": {"rate": "1e-3", "heads": ["2", "4"], "depth": 3, "size": "12"}}`,
		`{"space": "mine", "ops": ["input", {"op": "conv", "kernel": "-5"}, "output"], "edges": [[0, 1], [1, 2]], "hyperparameters": {"rate": "0.1", "heads": ["2"], "depth": 4, "size": "large"}}`,
	} {
		var c Candidates
		if refused := d.Candidate(&c, []byte(line)); refused != nil {
			t.Fatal(refused.Reason)
		}
		review.Candidate(&c, 0)
	}
	want := `space "mine": texts that read as numbers, which are learnt as words that have no order: attribute kernel, hyperparameter heads.0, hyperparameter heads.1, hyperparameter rate; write numbers without quotes`
	if got := review.Spaces[0].Notices(); len(got) != 1 || got[0] != want {
		t.Errorf("%q; want %q", got, want)
	}
}
