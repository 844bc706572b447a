package stages

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"archflow/schemas"
)

// oneModel answers every version with the same generation.
type oneModel struct{ set *ModelSet }

func (m oneModel) ModelSet(context.Context, int64) (*ModelSet, error) { return m.set, nil }

// messages returns candidates of three spaces, every ninth of them broken.
func messages(first, next int64) *schemas.Batch {
	var m schemas.Messages
	for o := first; o < next; o++ {
		m.Append(o, o, fmt.Append(nil, o), nil)
		ops := [][2]string{{"micro", "relu"}, {"micro", "square"}, {"dag", fmt.Sprint("op", o%5)}}[o%3]
		value := fmt.Sprintf(`{"id":%[1]d,"space":%[2]q,"ops":["input",%[3]q,%[3]q,%[3]q,%[3]q,"output"],"edges":[[0,1],[1,2],[2,3],[3,4],[4,5],[0,5]]}`, o, ops[0], ops[1])
		if o%9 == 4 {
			value = value[:len(value)/2]
		}
		m.Value.Append([]byte(value))
	}
	return &schemas.Batch{TopicPartition: schemas.TopicPartition{Topic: "t"}, First: first, Next: next, Rows: m.Record()}
}

// TestBatchSizes: batches of 1, 7 and 1024 give the same rows and the same
// rejections, and rows without a model say why.
func TestBatchSizes(t *testing.T) {
	waiting, err := NewChampion(nil, []Waiting{{schemas.MustIntern("accuracy"), schemas.MustIntern("too few labels")}})
	if err != nil {
		t.Fatal(err)
	}
	models := oneModel{&ModelSet{Version: 3, Spaces: map[schemas.Symbol]*Champion{schemas.MustIntern("micro"): waiting}}}
	const n = 1024
	var want []string
	for _, size := range []int64{n, 7, 1} {
		decode, surrogate, predict := NewDecode(schemas.Limits{Nodes: 100, MessageBytes: 1 << 20}), NewSurrogate(NewFlows(1)), NewPredict(models, false)
		var got []string
		for first := int64(0); first < n; first += size {
			b := messages(first, min(first+size, n))
			for _, s := range []Stage{decode, surrogate, predict} {
				if err := s.Process(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			if b.Registry != 3 {
				t.Fatalf("answered by version %d", b.Registry)
			}
			for _, d := range b.Rejects {
				got = append(got, fmt.Sprint("refused ", d.Offset, d.Class, string(d.Value)))
				if d.Class != schemas.ClassJSON || d.Offset%9 != 4 {
					t.Errorf("offset %d is %s: %s", d.Offset, d.Class, d.Reason)
				}
			}
			c, s, p := schemas.ViewCandidates(b.Rows), schemas.ViewSurrogates(b.Rows), schemas.ViewPredictions(b.Rows)
			for i := range c.Len() {
				reason := "no labels for this space yet: publish trained results to the labels topic"
				if schemas.Name(c.Space[i]) == "micro" {
					reason = "too few labels"
				}
				if p.Model[i] != schemas.NoSymbol || schemas.Name(p.Reason[i]) != reason {
					t.Errorf("offset %d: model %v, reason %q", c.Offset[i], p.Model[i], schemas.Name(p.Reason[i]))
				}
				got = append(got, fmt.Sprint(c.Offset[i], c.Architecture[i], c.Network[i], s.Values[s.Start[i]:s.Start[i+1]], p.TaskStart[i+1]-p.TaskStart[i]))
			}
			b.Rows.Release()
		}
		counts := map[string]int{}
		for _, row := range got {
			counts[row]++
		}
		if size == n {
			want = got
			continue
		}
		first := map[string]int{}
		for _, row := range want {
			first[row]++
		}
		if len(want) != n || !reflect.DeepEqual(first, counts) {
			t.Errorf("batches of %d give other rows: %d of %d", size, len(got), len(want))
		}
	}
}
