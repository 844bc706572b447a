// Package decisions holds the trainer's decisions: the messages of the models topic, and
// the newest of them in the memory of a process. Messages arrive in the order of their
// topic; those who wait for labels to be learnt leave when a decision covers them. It
// starts no goroutine.
package decisions

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"archflow/schemas"
)

// The decisions about a task.
const (
	Promoted = "promoted" // a model was fitted, and answers
	Kept     = "kept"     // a model was fitted, and ranks worse than the one that answers
	Waiting  = "waiting"  // the task has no model: it lacks labels
	NoneDue  = "none-due" // labels were considered, and no fit is due
)

// Decision is a message of the models topic; its key is SPACE/TASK.
type Decision struct {
	Space    string           `json:"space"`
	Task     string           `json:"task"`
	Decision string           `json:"decision"`
	Why      string           `json:"why"`     // a sentence
	Model    *string          `json:"model"`   // that answers the space, such as "nb201/17"; null before the first
	Labels   int              `json:"labels"`  // of the task, that Model was fitted to
	Learnt   map[string]int64 `json:"learnt"`  // TOPIC/PARTITION -> next offset: labels below are in Model, or left out because of Why
	Tau      *float64         `json:"tau"`     // Kendall tau of the fitted model on labels held out; null where undefined
	Version  int64            `json:"version"` // of the model registry, that Model answers in
	Time     time.Time        `json:"time"`
}

// Key returns the key of the message.
func (d *Decision) Key() string { return d.Space + "/" + d.Task }

// SetTau notes a tau unless it is undefined.
func (d *Decision) SetTau(tau float64) {
	d.Tau = nil
	if !math.IsNaN(tau) && !math.IsInf(tau, 0) {
		d.Tau = &tau
	}
}

// Learn notes positions of labels.
func (d *Decision) Learn(positions map[schemas.TopicPartition]int64) {
	d.Learnt = make(map[string]int64, len(positions))
	for p, next := range positions {
		d.Learnt[p.Topic+"/"+strconv.Itoa(int(p.Number))] = next
	}
}

// Covers reports whether the labels below learnt, next offsets by partition, have been
// considered. A decision that does not name a partition has considered none of its
// labels.
func (d *Decision) Covers(learnt map[int32]int64) bool {
	for p, next := range learnt {
		if next > 0 && d.next(p) < next {
			return false
		}
	}
	return true
}

// reaches reports whether d has considered all labels that other has.
func (d *Decision) reaches(other *Decision) bool {
	for place, next := range other.Learnt {
		if d.Learnt[place] < next {
			return false
		}
	}
	return true
}

func (d *Decision) next(partition int32) int64 {
	suffix := "/" + strconv.Itoa(int(partition))
	for place, next := range d.Learnt {
		if strings.HasSuffix(place, suffix) {
			return next
		}
	}
	return 0
}

// Parse reads a message of the models topic. The topic also carries the registry's
// entries of spaces, under the key SPACE: such a message is no decision and gives nil
// without an error.
func Parse(value []byte) (*Decision, error) {
	d := &Decision{}
	if err := json.Unmarshal(value, d); err != nil {
		return nil, fmt.Errorf("a message of the models topic cannot be read: %w", err)
	}
	if d.Decision == "" || d.Task == "" {
		return nil, nil
	}
	return d, nil
}
