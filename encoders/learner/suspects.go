package learner

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"archflow/encoders/teacher"
	"archflow/schemas"
)

// Suspect is a label that looks like a mistake and was not learnt from.
type Suspect struct {
	Candidate    string // its id as JSON text, "" where no label named it
	Architecture schemas.ID
	Value        float64
	Why          string // a sentence
}

// doubtable bounds the labels that a new one is compared with.
const doubtable = 1000

// doubt returns why a new label looks like a mistake beside the others of its task and
// its prediction, "" when it does not.
func (t *task) doubt(architecture schemas.ID, o *Outcome) string {
	limit := uint64(math.MaxUint64)
	if n := len(t.labels); n > doubtable {
		limit = uint64(float64(doubtable) / float64(n) * math.MaxUint64)
	}
	var y []float64
	for id, l := range t.labels {
		if id != architecture && binary.BigEndian.Uint64(id[:8]) <= limit {
			y = append(y, t.goal(l.value))
		}
	}
	slices.Sort(y) // the order of a map is none
	value, percentile := t.goal(o.Label.Value), math.NaN()
	if o.Answered {
		percentile = o.Percentile
	}
	at, _ := slices.BinarySearch(y, value)
	if beyond := min(at, len(y)-at); 4*beyond > len(y) {
		return ""
	}
	y = slices.Insert(y, at, value)
	s, doubted := teacher.Doubt(y, at, percentile)
	if !doubted {
		return ""
	}
	y = slices.Delete(y, at, at+1)
	same := 0
	for _, v := range y {
		if v == value {
			same++
		}
	}
	return t.explain(o.Label.Value, s, y, same)
}

// explain describes the anomaly of a value; others are labels turned so that more is
// better, and same of the labels have the same value beside it.
func (t *task) explain(value float64, s teacher.Suspect, others []float64, same int) string {
	sorted := slices.Sorted(slices.Values(others))
	low, high := t.goal(sorted[len(sorted)/20]), t.goal(sorted[len(sorted)-1-len(sorted)/20])
	text := fmt.Sprintf("%.6g lies far from the other labels, nine tenths of which are between %.4g and %.4g", value, min(low, high), max(low, high))
	if s.Percentile == s.Percentile {
		text += fmt.Sprintf(", and its network is expected at percentile %.0f of them", s.Percentile)
	}
	power := math.Round(math.Log10(s.Ratio))
	switch {
	case same > 1:
		text += fmt.Sprintf("; %d other labels have the same value: does it stand for a failure? Then publish \"failed\": true in its place", same)
	case math.Abs(math.Log10(s.Ratio)-power) < .2 && math.Abs(power) >= 1 && math.Abs(power) < 13:
		text += fmt.Sprintf("; it is about %g times them: another unit?", math.Pow(10, power))
	default:
		text += "; is it right?"
	}
	return text
}

// suspects names the labels of a fit that were not learnt from.
func (t *task) suspects(f *fitted, ids []schemas.ID) []Suspect {
	var out []Suspect
	if len(f.suspects) == 0 {
		return nil
	}
	others := pick(f.y, f.believed)
	for _, s := range f.suspects {
		same := 0
		for _, v := range f.y {
			if v == f.y[s.Label] {
				same++
			}
		}
		for _, id := range sortedIDs(t.labels) {
			l := t.labels[id]
			if l.network.id != ids[f.rows[s.Label]] {
				continue
			}
			out = append(out, Suspect{t.results[id].id, id, l.value, t.explain(l.value, s, others, same-1)})
		}
	}
	return out
}
