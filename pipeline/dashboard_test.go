package pipeline

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/internal/finite"
	"archflow/pipeline/api"
	"archflow/schemas"
	"archflow/stages"
)

// TestDashboardOfFewPairs: the state can be written at every number of scored pairs;
// figures that are undefined for so few are null.
func TestDashboardOfFewPairs(t *testing.T) {
	for pairs := range 120 {
		b := newDashboard(&Config{Role: RoleAll}, "test")
		score := learner.Score{Pairs: pairs, Tau: .5, Random: .6, RandomError: .1, P1: .2, P5: .2, Coverage: .9}
		if pairs < 100 {
			score.P1 = math.NaN()
		}
		if pairs < 20 {
			score.P5, score.Tau, score.Random = math.NaN(), math.NaN(), math.NaN()
		}
		b.scored("s", learner.TaskState{Name: "t", Score: score})
		state := b.state()
		body, err := json.Marshal(state.Scores)
		if err != nil {
			t.Fatalf("%d pairs: %v", pairs, err)
		}
		if got := state.Scores[0]; (got.P1 == nil) != (pairs < 100) || (got.P5 == nil) != (pairs < 20) || len(got.History) > 0 && pairs < 20 {
			t.Errorf("%d pairs: %s", pairs, body)
		}
	}
}

// TestBoardTakesAnyNumber: no label and no answer of a model keeps the state from
// being written.
func TestDashboardTakesAnyNumber(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		b := newDashboard(&Config{Role: RoleAll}, "test")
		row := stages.LabelRow{Outcome: learner.Outcome{Label: schemas.Label{Space: "s", Task: "t", Value: x}}}
		row.Answered, row.Value, row.Low, row.High = true, x, x, x
		b.labelled([]stages.LabelRow{row}, nil)
		b.scored("s", learner.TaskState{Name: "t", Score: learner.Score{Pairs: 2, Tau: x, P1: x, P5: x, Coverage: x}})
		if body, err := finite.Marshal(b.state()); err != nil || !json.Valid(body) {
			t.Errorf("%v: %v, %s", x, err, body)
		}
	}
}

// The page names labels that look like mistakes: those of the newest fit, and
// those that came after it, newest first.
func TestDashboardNamesSuspects(t *testing.T) {
	b := newDashboard(&Config{Role: RoleAll}, "test")
	come := func(id string) {
		row := stages.LabelRow{Outcome: learner.Outcome{Label: schemas.Label{Space: "s", Task: "t", ID: []byte(id)}, Suspect: "100 times"}}
		b.labelled([]stages.LabelRow{row}, nil)
	}
	for i := range 9 {
		come(strconv.Itoa(i))
	}
	suspects := func() []string { return b.state().Models[0].Suspects }
	if got := suspects(); len(got) != shownSuspects || got[0] != "t of 8: 100 times" {
		t.Errorf("suspects %q", got)
	}
	l := learner.New(learner.Config{Space: "s"})
	b.fitted(l, &learner.Challenger{Trials: []learner.Trial{{Task: "t", Suspects: []learner.Suspect{{Why: "far"}}}}})
	if got := suspects(); len(got) != 1 || !strings.HasSuffix(got[0], ": far") {
		t.Errorf("suspects %q", got)
	}
	b.fitted(l, &learner.Challenger{})
	if got := suspects(); len(got) != 0 {
		t.Errorf("suspects %q", got)
	}
}

// TestCellsAreLists: a graph without edges, such as one of hyperparameters alone,
// has an empty list of them, which the page can draw.
func TestCellsAreLists(t *testing.T) {
	var g schemas.Graphs
	g.Append([]schemas.Symbol{schemas.MustIntern("a")}, nil)
	g.Append([]schemas.Symbol{schemas.MustIntern("a"), schemas.MustIntern("reduce:a")}, nil)
	for i, want := range []string{`[{"ops":["a"],"edges":[]}]`, `[{"ops":["a"],"edges":[]},{"ops":["a"],"edges":[]}]`} {
		if got, err := json.Marshal(api.Cells(&g, i)); err != nil || string(got) != want {
			t.Errorf("graph %d is %s, %v", i, got, err)
		}
	}
}

// TestBestLivesThroughPromotions: the list of a task holds each network once with its
// last prediction, keeps its entries when a model is promoted, and marks trained
// networks.
func TestBestLivesThroughPromotions(t *testing.T) {
	b := newDashboard(&Config{Role: RoleAll}, "test")
	task := schemas.MustIntern("acc")
	answer := func(model string, percentiles ...float64) {
		var c schemas.Candidates
		d := schemas.NewDecoder(schemas.Limits{})
		p := schemas.Predictions{TaskStart: []int32{0}}
		for i, x := range percentiles {
			if refused := d.Candidate(&c, []byte(chain(i))); refused != nil {
				t.Fatal(refused)
			}
			p.Model, p.Task, p.TaskStart = append(p.Model, schemas.MustIntern(model)), append(p.Task, task), append(p.TaskStart, int32(i+1))
			for _, column := range []*[]float64{&p.Score, &p.Value, &p.Low, &p.High, &p.Percentile, &p.Top} {
				*column = append(*column, x)
			}
		}
		for i := range percentiles {
			b.space("dag").best.offer(&c, &p, i)
		}
	}
	var many []float64
	for i := range 40 {
		many = append(many, float64(i))
	}
	answer("dag/1", many...)
	b.serves("dag", &SpaceManifest{Space: "dag", ModelFile: ModelFile{Model: "dag/2"}}, time.Now(), &encoders.Model{Space: "dag", Version: 2}, nil)
	if got := b.state().Best; len(got) != shownBest || got[0].Percentile != 39 {
		t.Fatalf("after a promotion %+v", got)
	}
	network := b.state().Best[3].Network // of candidate 36
	b.mu.Lock()
	b.space("dag").best.mark("acc", network, 7)
	b.mu.Unlock()
	answer("dag/2", append(slices.Repeat([]float64{0}, 36), 99)...)
	got := b.state().Best
	if got[0].Network != network || got[0].Model != "dag/2" || !got[0].Labelled || got[0].Label != 7 || got[1].Model != "dag/1" || len(got) != shownBest {
		t.Errorf("the best are %+v", got[:2])
	}
	seen := map[string]bool{}
	for _, e := range got {
		if seen[e.Network] {
			t.Errorf("%s is there twice", e.ID)
		}
		seen[e.Network] = true
	}
}
