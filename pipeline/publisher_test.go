package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/pipeline/api"
	"archflow/schemas"
)

// requests publishes three requests with keys, in a life after the other until
// one gets through without a crash, and returns the points it came by.
func requests(t *testing.T, crashes ...crash) (visited []string) {
	t.Helper()
	w := newWorld(t, &Config{TopicPrefix: "", Group: "g"})
	defer w.close()
	answered := map[string]api.Published{}
	for _, c := range append(slices.Clone(crashes), crash{point: "none"}) {
		l, err := w.live(t.Context(), c, func(p *Process, stop context.Context) error {
			publish := newPublisher(p)
			for n := range 3 {
				key := fmt.Sprint("request ", n)
				var messages []api.Message
				for i := range 7 {
					messages = append(messages, api.Message{Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "%d/%d", n, i)})
				}
				topic := api.Candidates
				if n == 1 {
					topic = api.Labels
				}
				done, err := publish.Publish(stop, topic, key, messages)
				if err != nil {
					return err
				}
				if before, ok := answered[key]; ok && !reflect.DeepEqual(before, done) {
					t.Errorf("crash %s %d: %s was answered with %v and then with %v", c.point, c.n, key, before, done)
				}
				answered[key] = done
			}
			return nil
		})
		if err != nil && !l.crashed() {
			t.Errorf("after a crash %v: %v", crashes, err)
		}
		for _, point := range l.visited {
			if !slices.Contains(visited, point) {
				visited = append(visited, point)
			}
		}
	}
	got := map[string]int{}
	for topic, partitions := range map[string]int{w.topics.Architectures: 2, w.topics.Labels: 1} {
		for p := range partitions {
			m := w.committed(topic, int32(p))
			next := int64(0)
			for i := range m.Len() {
				value := string(m.Value.At(i))
				got[value]++
				if request := "request " + value[:1]; topic == w.topics.Labels {
					next = m.Offset[i] + 1
					if done := answered[request]; i == m.Len()-1 && done.Through[topic+"/0"] != next {
						t.Errorf("crash %v: %s ends at %d and is said to end at %v", crashes, request, next, done.Through)
					}
				}
			}
		}
	}
	for n := range 3 {
		for i := range 7 {
			if value := fmt.Sprintf("%d/%d", n, i); got[value] != 1 {
				t.Errorf("crash %v: message %s is there %d times", crashes, value, got[value])
			}
		}
	}
	return visited
}

// TestRequestsCrashAnywhere ends a process before and after everything that it
// does to the broker and the store for requests with keys, and its successor at
// such a point too. Requests that are repeated are published once.
func TestRequestsCrashAnywhere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		points := requests(t)
		if len(points) < 12 {
			t.Fatalf("only %d points: %q", len(points), points)
		}
		for i, point := range points {
			requests(t, crash{point: point}, crash{point: points[(i*5+3)%len(points)]})
			requests(t, crash{point: point, n: 1}, crash{point: points[(i*7+1)%len(points)], n: i % 2})
		}
	})
}

// TestPublishedByHTTP publishes candidates and labels: faulty elements are reported one
// by one and not published, and a key makes a repetition harmless.
func TestPublishedByHTTP(t *testing.T) {
	r := run(t, settings(t))
	var answer struct {
		Published int
		Through   map[string]int64
		Errors    []struct {
			Index       int
			Error, Cure string
			Class       string
		}
	}
	publish := func(path, kind, body string, headers ...string) (int, string) {
		t.Helper()
		status, text := r.post(path, kind, body, headers...)
		answer.Published, answer.Through, answer.Errors = 0, nil, nil
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(text, err)
		}
		return status, text
	}
	var lines []string
	for i := range 20 {
		lines = append(lines, chain(i))
	}
	lines[3] = lines[3][:40]
	if status, text := publish("/api/candidates", asLines, strings.Join(lines, "\n")); status != http.StatusOK || answer.Published != 19 || len(answer.Errors) != 1 || answer.Errors[0].Index != 3 || answer.Errors[0].Class != schemas.ClassJSON {
		t.Errorf("candidates: %d %s", status, text)
	}
	sum := int64(0)
	for _, next := range answer.Through {
		sum += next
	}
	if len(answer.Through) == 0 || sum < 19 {
		t.Errorf("candidates are there through %v", answer.Through)
	}
	for _, value := range []string{"NaN", "Infinity", "-Infinity"} {
		status, text := publish("/api/labels", asJSON, `{"space":"dag","id":"c1","task":"acc","value":`+value+`}`)
		if status != http.StatusBadRequest || !strings.Contains(text, schemas.ClassNotFinite) || !strings.Contains(text, "failed") {
			t.Errorf("the value %s: %d %s", value, status, text)
		}
	}
	if status, text := publish("/api/labels", asJSON, `{"space":"dag","id":"c1","value":3}`); status != http.StatusBadRequest || answer.Published != 0 {
		t.Errorf("a label without a task: %d %s", status, text)
	}
	const labels = `[{"space":"dag","id":"c1","task":"acc","value":3},{"space":"dag","id":"c2","task":"acc","value":4}]`
	status, first := publish("/api/labels", asJSON, labels, "Idempotency-Key", "mine")
	if status != http.StatusOK || answer.Published != 2 || answer.Through["archflow.labels/0"] != 2 {
		t.Errorf("labels: %d %s", status, first)
	}
	if status, again := publish("/api/labels", asJSON, labels, "Idempotency-Key", "mine"); status != http.StatusOK || again != first {
		t.Errorf("labels again: %d %s, before %s", status, again, first)
	}
	if status, text := publish("/api/labels", asJSON, strings.Replace(labels, "3", "5", 1), "Idempotency-Key", "mine"); status != http.StatusUnprocessableEntity || !strings.Contains(text, api.ClassConflict) {
		t.Errorf("another request with the key: %d %s", status, text)
	}
	if status, text := publish("/api/labels", asJSON, labels, "Idempotency-Key", strings.Repeat("x", 256)); status != http.StatusBadRequest {
		t.Errorf("a long key: %d %s", status, text)
	}
	count := func(topic string) (n int) {
		if err := r.Follow(t.Context(), topic, From{Start: true}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
			n += m.Len()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	await(t, func() string {
		if n := count(r.Topics.Predictions); n != 19 {
			return fmt.Sprintf("%d predictions of 19 candidates", n)
		}
		return ""
	})
	if a, l := count(r.Topics.Architectures), count(r.Topics.Labels); a != 19 || l != 2 {
		t.Errorf("%d candidates and %d labels are in the topics", a, l)
	}
}

// TestRequestRecordsAreRemoved: the store keeps the records of today and of
// yesterday.
func TestRequestRecordsAreRemoved(t *testing.T) {
	r := run(t, settings(t))
	for _, key := range []string{"2020-01-01/a", "2020-02-03/b"} {
		if err := r.store.Create(t.Context(), requestsFolder+key+".json", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	publish := newPublisher(r.Process)
	before := time.Now().AddDate(0, 0, -1).UTC().Format(time.DateOnly)
	if err := r.store.Create(t.Context(), requestsFolder+before+"/c.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Publish(t.Context(), api.Labels, "key", []api.Message{{Value: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for object, err := range r.store.List(t.Context(), requestsFolder, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, object.Key)
	}
	if len(keys) != 2 || !strings.Contains(keys[0], before) {
		t.Errorf("the store keeps %q", keys)
	}
	if _, err := publish.Publish(t.Context(), api.Labels, "key", []api.Message{{Value: []byte("[]")}}); !errors.Is(err, api.ErrOtherRequest) {
		t.Errorf("other messages with the key: %v", err)
	}
}
