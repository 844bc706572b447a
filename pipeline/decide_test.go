package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"archflow/internal/kafka"
	"archflow/pipeline/decisions"
	"archflow/schemas"
)

// whileFollowed runs a trainer beside a process that follows its decisions.
func whileFollowed(t *testing.T, do func(t *testing.T, w *world, reader *Process, stop context.Context) error) {
	config := learning(t)
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, config)
		defer w.close()
		var candidates []string
		for i := range 40 {
			candidates = append(candidates, chain(i))
		}
		w.publish(w.topics.Architectures, 0, candidates...)
		reader := w.process(w.client, nil, w.bucket("store"))
		reader.report = telemetry(t)
		reader.ready = newReadiness()
		var err error
		if reader.registry, err = OpenRegistry(t.Context(), reader.store); err != nil {
			t.Fatal(err)
		}
		defer reader.store.Close()
		follow, unfollow := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			reader.models().follow(follow)
		}()
		defer func() { unfollow(); <-ended }()
		_, err = w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			stop, cancel := context.WithCancel(stop)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				done <- p.learn(stop, kafka.Assignment{Member: kafka.Member{Group: "g-trainer", Generation: -1}, Partitions: []schemas.TopicPartition{{Topic: p.Topics.Labels}}})
			}()
			if err := do(t, w, reader, stop); err != nil {
				return err
			}
			cancel()
			return <-done
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestEveryDecisionIsTold: labels that are too few, labels that are fitted, labels
// that say nothing new and labels that wait for their candidate all lead to a
// decision that covers them, and a process that has followed it answers with the
// model that it names.
func TestEveryDecisionIsTold(t *testing.T) {
	whileFollowed(t, func(t *testing.T, w *world, reader *Process, stop context.Context) error {
		at := int64(0)
		for _, step := range []struct {
			labels []int
			wants  []string
			model  bool
		}{
			{[]int{0, 1}, []string{decisions.Waiting}, false},
			{[]int{2, 3, 4, 5, 6, 7}, []string{decisions.Promoted, decisions.Kept}, true},
			{[]int{7}, []string{decisions.NoneDue}, true},                                 // as before
			{[]int{200}, []string{decisions.NoneDue}, true},                               // of no candidate
			{[]int{8, 9, 10, 11, 12}, []string{decisions.Promoted, decisions.Kept}, true}, // one of the two
		} {
			for _, i := range step.labels {
				w.publish(w.topics.Labels, 0, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, i*i%17))
				at++
			}
			d, err := waitFor(stop, reader, at)
			if err != nil {
				return fmt.Errorf("labels %v: %w", step.labels, err)
			}
			found := false
			for _, want := range step.wants {
				found = found || d.Decision == want
			}
			serves := reader.ModelName("dag")
			// A student may have replaced the model meanwhile; that is a decision
			// too.
			for i := 0; i < 100 && d.Model != nil && *d.Model != serves; i++ {
				time.Sleep(100 * time.Millisecond) // of the bubble
				d, _ = reader.history.Last("dag", "acc")
				serves = reader.ModelName("dag")
			}
			if !found || d.Learnt[w.topics.Labels+"/0"] != at || (d.Model != nil) != step.model || step.model && *d.Model != serves || step.model && d.Labels < 5 {
				t.Errorf("labels %v: %+v while %q answers, want %v", step.labels, d, serves, step.wants)
			}
		}
		return nil
	})
}

// TestSpacesWithoutLabelsAreTold: a space whose labels were all withdrawn is decided about
// as the others are, so that nobody waits in vain for later labels of another space.
func TestSpacesWithoutLabelsAreTold(t *testing.T) {
	whileFollowed(t, func(t *testing.T, w *world, reader *Process, stop context.Context) error {
		for at, label := range []string{
			`{"space":"dag","id":"c0","task":"acc","value":1}`,
			`{"space":"dag","id":"c0","task":"acc","value":null}`,
			`{"space":"another","id":"c0","task":"acc","value":1}`,
		} {
			w.publish(w.topics.Labels, 0, label)
			d, err := waitFor(stop, reader, int64(at)+1)
			if err != nil {
				return fmt.Errorf("label %d: %w", at, err)
			}
			if d.Decision != decisions.Waiting {
				t.Errorf("label %d: %+v", at, d)
			}
		}
		return nil
	})
}

// TestFitsTellOfOtherSpaces: the decision of a fit says that a space without labels has
// none, and nothing of a space whose labels came before the fit.
func TestFitsTellOfOtherSpaces(t *testing.T) {
	whileFollowed(t, func(t *testing.T, w *world, reader *Process, stop context.Context) error {
		at := int64(0)
		for _, late := range []string{"", `{"space":"late","id":"c0","task":"acc","value":1}`} {
			var labels []string
			if late != "" {
				labels = append(labels, late)
			}
			for i := range 8 {
				labels = append(labels, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, at+int64(i), i*i%17))
			}
			w.publish(w.topics.Labels, 0, labels...)
			at += int64(len(labels))
			limited, cancel := context.WithTimeout(stop, time.Minute)
			err := reader.history.Wait(limited, []string{"never labelled"}, map[int32]int64{0: at})
			cancel()
			if err != nil {
				return fmt.Errorf("of a space without labels: %w", err)
			}
			if _, decided := reader.history.Last("late", "acc"); !decided && reader.history.Considered("late", map[int32]int64{0: at}) != (late == "") {
				t.Errorf("with %d labels, those of another space are learnt without a decision about it", at)
			}
		}
		return nil
	})
}

// waitFor waits until the labels of dag below at have been considered, and returns the
// newest decision about its task.
func waitFor(ctx context.Context, reader *Process, at int64) (decisions.Decision, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := reader.history.Wait(limited, []string{"dag"}, map[int32]int64{0: at})
	d, _ := reader.history.Last("dag", "acc")
	if err != nil {
		err = fmt.Errorf("%w; the last decision is %+v", err, d)
	}
	return d, err
}
