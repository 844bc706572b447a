package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"archflow/schemas"
)

// TestBoard: the best found follows the order of the labels, also of those that
// came before their candidates; candidates are found by id and by hash; a network
// is there once, with its truth and its drawing.
func TestBoard(t *testing.T) {
	o := options()
	topics := fakeTopics{}
	for i := range 20 {
		topics[Candidates] = append(topics[Candidates], chain(i, fmt.Sprintf(`"id":"c%d",`, i)))
	}
	topics[Candidates] = append(topics[Candidates], chain(3, `"id":"again",`))
	for _, l := range [][2]int{{7, 40}, {2, 60}, {9, 50}, {3, 80}, {11, 70}} {
		topics[Labels] = append(topics[Labels], fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, l[0], l[1]), fmt.Sprintf(`{"space":"dag","id":"c%d","task":"loss","value":%d,"goal":"min"}`, l[0], l[1]))
	}
	o.Topics, o.Networks = topics, 100
	s := New(o)
	ask := func(query string) (b board) {
		t.Helper()
		status, body := get(t, s, "/api/board?space=dag"+query)
		if status != http.StatusOK || json.Unmarshal([]byte(body), &b) != nil {
			t.Fatal(query, status, body)
		}
		return b
	}
	b := ask("&with=loss&id=again")
	if b.Task != "acc" || !slices.Equal(b.Tasks, []string{"acc", "loss"}) || b.Networks != 20 || b.Labels != 5 || b.Model != nil {
		t.Errorf("%+v", b)
	}
	if want := [][2]float64{{1, 40}, {2, 60}, {4, 80}, {5, 80}}; !slices.Equal(b.Progress, want) {
		t.Errorf("progress %v, want %v", b.Progress, want)
	}
	if len(b.Best) != 5 || len(b.Found) != 1 || len(b.Found[0].Cells) != 1 || len(b.Found[0].Cells[0].Ops) != 8 || len(b.Front.Trained) != 5 || b.Front.Minimise != [2]bool{false, true} {
		t.Errorf("best %d, found %+v, front %+v", len(b.Best), b.Found, b.Front)
	}
	var best struct {
		ID, Network string
		Labels      map[string]float64
	}
	if err := json.Unmarshal(b.Best[0].Candidate, &best); err != nil || best.ID != "c3" || best.Labels["acc"] != 80 {
		t.Errorf("the best is %s", b.Best[0].Candidate)
	}
	if got := ask("&id=" + best.Network).Found; len(got) != 1 || string(got[0].Candidate) != string(b.Best[0].Candidate) {
		t.Errorf("by its hash: %+v", got)
	}
	if b := ask("&task=loss&id=nobody"); !b.Minimise || b.Progress[len(b.Progress)-1] != [2]float64{5, 40} || len(b.Found) != 0 {
		t.Errorf("%+v", b)
	}
	if status, _ := get(t, s, "/api/board?space=dag&task=nothing"); status != http.StatusNotFound {
		t.Errorf("status %d", status)
	}
}

// TestFrontOfTruths: what was trained stands in the front where its labels are, not
// where it was predicted to be.
func TestFrontOfTruths(t *testing.T) {
	v := scored(4, func(i int) (float64, float64, float64) { return []float64{9, 7, 8, 5}[i], []float64{4, 3, 2, 1}[i], .1 })
	v.entries[1].train("accuracy", 6)
	v.entries[1].train("latency", .5)
	f := v.frontOf("accuracy", "latency")
	if want := [][2]float64{{9, 4}, {8, 2}, {6, .5}}; !slices.Equal(f.Predicted, want) || !slices.Equal(f.Trained, [][2]float64{{6, .5}}) {
		t.Errorf("the front is %v, want %v; trained %v", f.Predicted, want, f.Trained)
	}
}

// lateTopics shows what was published only when it is read for the third time, as
// Kafka may with a transaction that has just been committed.
type lateTopics struct {
	fakeTopics
	reads *int
}

func (l lateTopics) Read(ctx context.Context, topic Topic, positions map[int32]int64, tail int64, show func(*schemas.Messages)) error {
	if topic == Candidates {
		if *l.reads++; *l.reads < 3 {
			return nil
		}
	}
	return l.fakeTopics.Read(ctx, topic, positions, tail, show)
}

type onePublisher struct{}

func (onePublisher) Publish(_ context.Context, topic Topic, _ string, m []Message) (Published, error) {
	return Published{Messages: len(m), Through: map[string]int64{"archflow.architectures/0": 1}}, nil
}

// TestPublishedIsKnown: a question that follows a publication knows the published
// messages, also where the broker shows them late.
func TestPublishedIsKnown(t *testing.T) {
	o := options()
	reads := 0
	o.Topics, o.Networks, o.Publisher = lateTopics{fakeTopics{Candidates: {chain(1, "")}}, &reads}, 100, onePublisher{}
	s := New(o)
	if status, _, body := post(t, s, "/api/candidates", typeJSON, chain(1, "")); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if status, _, body := post(t, s, "/api/ask", typeJSON, `{"space":"dag","task":"acc"}`); status != http.StatusOK || reads != 3 {
		t.Errorf("status %d after %d reads: %s", status, reads, body)
	}
}
