package ops

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// everything calls every method of Metrics once.
func everything(m *Metrics) {
	ctx := trace.ContextWithSpanContext(context.Background(), sampled(9))
	s := m.Stage("decode")
	s.Queue(func() int { return 3 }, 8)
	w := s.Worker()
	w.Busy()
	w.Blocked()
	w.Done(ctx, 10, 9)
	m.Lag("architectures", 2, 500, 3*time.Second)
	m.Open("architectures", 2, 7, time.Second)
	m.Latency(ctx, 20*time.Millisecond)
	m.Predictions("nb201", true, 9)
	m.DeadLetters("cycle", 1)
	m.Commit(ctx, "table", 9, time.Second)
	m.CommitFailed("table")
	m.Conflict("predictions", "commit")
	m.Loss("nb201", "flow", .5)
	m.Steps("nb201", "pretrain", 10)
	m.Labels("cifar10_test", 3)
	m.Waiting("nb201", 2)
	m.GivenUp("nb201", 1)
	m.FineTune(ctx, "nb201", time.Second)
	m.Replay("nb201", 100)
	m.Decision("nb201", "promoted")
	m.Model("nb201", 17, time.Now().Add(-time.Minute), true)
	m.Score("nb201/cifar10_test", Scores{.3, .7, .05, .5, .6, .91, 100})
	m.Ready(true)
	m.Request(ctx, "/api/predict", 200, time.Second)
	m.Rejected("schema", 1)
}

// TestTableIsTrue compares what /metrics offers with the table: every metric
// is there under its name, and there is none beside it.
func TestTableIsTrue(t *testing.T) {
	tel := start(t, Options{Version: "test"})
	everything(tel.Metrics)
	text := scrape(t, tel)
	offered := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		name := m[1]
		if m[2] == "counter" {
			name += "_total"
		}
		offered[name] = m[2]
	}
	delete(offered, "target")
	delete(offered, "target_info")
	known := map[string]bool{}
	for _, row := range table {
		name := prometheusName(row)
		known[name] = true
		if offered[name] == "" && row.Name != "go.memory.limit" { // only where it is set
			t.Errorf("%s is in the table and not on /metrics", name)
		}
		if kind := offered[name]; kind != "" && kind != string(row.Kind) && !row.Runtime {
			t.Errorf("%s is a %s, the table says %s", name, kind, row.Kind)
		}
		for _, a := range row.Attributes {
			label := strings.ReplaceAll(a.Name, ".", "_")
			if offered[name] != "" && !regexp.MustCompile(`(?m)^`+name+`(_bucket)?\{[^}]*`+label+`="`).MatchString(text) {
				t.Errorf("%s has no label %s", name, label)
			}
		}
	}
	for name := range offered {
		if !known[name] {
			t.Errorf("%s is on /metrics and not in the table", name)
		}
	}
	if !regexp.MustCompile(`# \{[^}]*trace_id="01090000000000000000000000000000"`).MatchString(text) {
		t.Error("no exemplar leads to the trace")
	}
}

func TestValuesAreBounded(t *testing.T) {
	tel := start(t, Options{})
	for i := range 1000 {
		tel.Metrics.Predictions(fmt.Sprint("space", i), true, 1)
	}
	text := scrape(t, tel)
	if n := strings.Count(text, "\narchflow_predictions_total{"); n != bySpace.Bound+1 {
		t.Errorf("%d series, want %d", n, bySpace.Bound+1)
	}
	if !strings.Contains(text, `archflow_predictions_total{answered="true",space="other"} 968`) {
		t.Error("what is beyond the bound is not counted under other")
	}
}

func TestForgottenPartitionIsGone(t *testing.T) {
	tel := start(t, Options{})
	tel.Metrics.Lag("a", 1, 5, time.Second)
	tel.Metrics.Lag("a", 2, 6, time.Second)
	tel.Metrics.Forget("a", 1)
	text := scrape(t, tel)
	if strings.Contains(text, `partition="1"`) || !strings.Contains(text, `partition="2"`) {
		t.Errorf("lag:\n%s", text)
	}
}

func TestUndefinedScoreIsLeftOut(t *testing.T) {
	tel := start(t, Options{})
	tel.Metrics.Score("a", Scores{math.NaN(), math.NaN(), math.NaN(), .5, .5, .5, 3})
	if text := scrape(t, tel); strings.Contains(text, "archflow_score_tau{") || !strings.Contains(text, "archflow_score_coverage_ratio{") {
		t.Errorf("scores:\n%s", text)
	}
}

// stopped returns metrics with a clock that the test moves.
func stopped(t testing.TB) (*Metrics, *time.Time) {
	m, err := NewMetrics(noop.Meter{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	m.now = func() time.Time { return now }
	return m, &now
}

func TestStageTimesSumToOne(t *testing.T) {
	m, now := stopped(t)
	rates := m.StageRates()
	s := m.Stage("decode")
	w := s.Worker()
	*now = now.Add(2 * time.Second) // idle
	w.Busy()
	*now = now.Add(5 * time.Second)
	w.Blocked()
	*now = now.Add(1 * time.Second)
	w.Busy()
	w.Done(context.Background(), 100, 90)
	m.Stage("table").Worker()
	train := m.Stage("train") // always at work, and nothing waits for it
	train.Queue(func() int { return 1 }, 4)
	train.Worker().Busy()
	*now = now.Add(2 * time.Second) // busy, not finished
	got := rates.Next()
	want := StageState{Name: "decode", In: 10, Out: 9, Rows: 100, Idle: .2, Busy: .7, Blocked: .1, Bottleneck: true}
	if fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
	if len(got) != 3 || got[1].Bottleneck || got[2].Bottleneck {
		t.Errorf("%+v", got)
	}
	*now = now.Add(time.Second)
	if again := rates.Next()[0]; again.In != 0 || again.Busy != 1 {
		t.Errorf("a second later %+v", again)
	}
}

func TestStalledStageIsNamed(t *testing.T) {
	m, now := stopped(t)
	w := m.Stage("table").Worker()
	waits := m.Stage("predict").Worker()
	waits.Blocked()
	*now = now.Add(time.Hour)
	if err := m.Stalled(time.Minute); err != nil {
		t.Errorf("idle and blocked stages are not stalled: %v", err)
	}
	w.Busy()
	*now = now.Add(50 * time.Second)
	w.Beat()
	*now = now.Add(50 * time.Second)
	if err := m.Stalled(time.Minute); err != nil {
		t.Errorf("a stage with a heartbeat is not stalled: %v", err)
	}
	*now = now.Add(11 * time.Second)
	if err := m.Stalled(time.Minute); err == nil || !strings.Contains(err.Error(), "stage table") {
		t.Errorf("got %v", err)
	}
	w.Stop()
	if err := m.Stalled(time.Minute); err != nil {
		t.Errorf("a stopped worker is not stalled: %v", err)
	}
}

// BenchmarkBatch measures the cost of metrics for a batch in one stage: divide by its
// rows.
func BenchmarkBatch(b *testing.B) {
	m, err := NewMetrics(noop.Meter{})
	if err != nil {
		b.Fatal(err)
	}
	w := m.Stage("decode").Worker()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		w.Idle()
		w.Busy()
		w.Blocked()
		w.Busy()
		w.Done(ctx, 512, 512)
	}
}

// TestEachFlowHasItsBottleneck: a busy trainer is no bottleneck of the answers.
func TestEachFlowHasItsBottleneck(t *testing.T) {
	m, now := stopped(t)
	rates := m.StageRates()
	full := func(name string, after ...string) *Worker {
		s := m.Stage(name).After(after...)
		s.Queue(func() int { return 4 }, 4)
		return s.Worker()
	}
	full("source").Idle()
	half := full("decode", "source")
	full("sink", "decode").Busy()
	full("labels").Idle()
	full("train", "labels").Busy()
	half.Busy()
	*now = now.Add(3 * time.Second)
	half.Idle()
	*now = now.Add(time.Second)
	lit := ""
	for _, s := range rates.Next() {
		if s.Bottleneck {
			lit += s.Name + " "
		}
	}
	if lit != "sink train " {
		t.Errorf("lit are %q", lit)
	}
}
