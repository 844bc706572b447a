package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
	"archflow/pipeline/inspect"
	"archflow/schemas"
	"archflow/sinks"
)

// listen gives the installation an HTTP address of its own.
func (in *installation) listen() (address string) {
	in.t.Helper()
	address = kafkatest.FreeAddress(in.t)
	in.set("HTTP", address)
	return address
}

// lines writes a file of lines and returns its name.
func (in *installation) lines(text ...string) string {
	in.t.Helper()
	name := filepath.Join(in.t.TempDir(), "lines.jsonl")
	if err := os.WriteFile(name, []byte(strings.Join(text, "\n")+"\n"), 0o644); err != nil {
		in.t.Fatal(err)
	}
	return name
}

// examined returns the findings of doctor by check, and its exit status.
func (in *installation) examined(flags ...string) (map[string]inspect.Finding, int) {
	in.t.Helper()
	p := in.start(append([]string{"doctor", "--json"}, flags...)...)
	status := p.wait(patience)
	found := map[string]inspect.Finding{}
	for line := range strings.Lines(p.out.String()) {
		var f inspect.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			in.t.Fatalf("%v: %s", err, line)
		}
		if f.Status != inspect.FindingOK && f.Cure == "" {
			in.t.Errorf("%s: %s %q names no cure", f.Check, f.Status, f.Found)
		}
		found[f.Check] = f
	}
	return found, status
}

func (in *installation) story(id string) inspect.Story {
	in.t.Helper()
	var s inspect.Story
	if err := json.Unmarshal([]byte(in.ok("explain", id, "--json")), &s); err != nil {
		in.t.Fatal(err)
	}
	return s
}

// TestEndToEndOperating: the operators' commands beside a run, before it and after it.
func TestEndToEndOperating(t *testing.T) {
	onEach(t, func(t *testing.T, in *installation) {
		in.listen()
		found, status := in.examined()
		if status != 0 || found["table"].Status != inspect.FindingWarn {
			t.Errorf("doctor before the first run: status %d, %v", status, found)
		}
		if entries, err := os.ReadDir(in.data); err != nil || len(entries) > 0 {
			t.Errorf("doctor left %v in the data folder, %v", entries, err)
		}

		run := in.start("run")
		run.says("msg=ready")
		in.ok("publish", "candidates", benchmark)
		in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "40")
		run.says("promoted")
		in.ok("publish", "candidates", in.lines(
			`{"space":"dag","id":"asked for","ops":["input","a","output"],"edges":[[0,1],[1,2]]}`,
			`{"space":"no where","id":"refused","ops":["a"],"edges":[]}`))
		in.ok("publish", "candidates", benchmark, "--limit", "10") // answered by the model

		t.Run("top", func(t *testing.T) { checkTop(t, in) })
		t.Run("explain", func(t *testing.T) { checkExplain(t, in) })
		t.Run("maintain", func(t *testing.T) { checkMaintain(t, in) })
		t.Run("tap", func(t *testing.T) { checkTap(t, in) })
		t.Run("replay", func(t *testing.T) { checkReplay(t, in) })
		found, status = in.examined()
		for check, f := range found {
			if f.Status != inspect.FindingOK {
				t.Errorf("doctor beside a run: %s %s: %s", f.Status, check, f.Found)
			}
		}
		if status != 0 || len(found) < 13 || !strings.Contains(found["http"].Found, "is ready") || !strings.Contains(found["models"].Found, "micro/") {
			t.Errorf("doctor beside a run: status %d, %v", status, found)
		}
		run.signal(syscall.SIGTERM)
		if status := run.wait(35 * time.Second); status != 0 {
			t.Errorf("the run ended with status %d", status)
		}
		t.Run("broken", func(t *testing.T) { checkDamaged(t, in) })
	})
}

func checkTop(t *testing.T, in *installation) {
	var state ops.State
	until(t, "top shows everything answered", func() bool {
		state = ops.State{}
		if err := json.Unmarshal([]byte(in.ok("top", "--json", "--limit", "1")), &state); err != nil {
			t.Fatal(err)
		}
		return state.Totals.Candidates == benchmarkRows+12 && state.Totals.Labels == 40 && state.Totals.DeadLetters == 1
	})
	if line := in.ok("top", "--limit", "1"); !strings.Contains(line, "ready: ") || !strings.Contains(line, "4,511 predictions, 40 labels, 1 dead letters, lag 0") {
		t.Errorf("without a terminal top says %q", line)
	}
	var screen text
	redraw(&screen, &state, 90, 30, 0)
	drawn := strings.Split(screen.String(), "\n")
	if len(drawn) > 30 || !strings.Contains(screen.String(), "predictions topic") || !strings.Contains(screen.String(), "micro/accuracy") {
		t.Errorf("the screen has %d lines:\n%s", len(drawn), screen.String())
	}
	for _, line := range drawn {
		if n := len([]rune(strings.NewReplacer("\r", "", home, "", clearLine, "", clearBelow, "", reverse, "", normal, "").Replace(line))); n > 90 {
			t.Errorf("a line of %d characters: %q", n, line)
		}
	}
}

func checkExplain(t *testing.T, in *installation) {
	first := strings.SplitN(in.ok("read", "labels", "--json", "--from", "start", "--exit-at-end", "--limit", "1"), "\n", 2)[0]
	label, refused := schemas.NewDecoder(schemas.Limits{}).Label([]byte(first))
	if refused != nil {
		t.Fatal(refused)
	}
	labelled := string(label.ID)
	for name, id := range map[string]string{"by id": labelled, "by hash": in.story(labelled).Architecture} {
		s := in.story(id)
		if len(s.Labels) != 1 || s.Labels[0].Value == nil || *s.Labels[0].Value != label.Value || s.Labels[0].Task != "accuracy" {
			t.Errorf("%s: the labels are %+v, want %s", name, s.Labels, first)
		}
		if len(s.Labels) == 1 && (s.Labels[0].Considered == nil || s.Labels[0].Considered.Why == "") || len(s.Decisions) != 1 || s.Decisions[0].Task != "accuracy" {
			t.Errorf("%s: the decisions are %+v, of the label %+v", name, s.Decisions, s.Labels)
		}
	}
	// The first ten are asked again when there is a model.
	ten := strings.Split(in.ok("read", "architectures", "--json", "--from", "start", "--exit-at-end"), "\n")
	var candidate struct{ ID json.RawMessage }
	seen := map[string]int{}
	for _, line := range ten {
		candidate.ID = nil
		if json.Unmarshal([]byte(line), &candidate) == nil {
			seen[string(candidate.ID)]++
		}
	}
	twice := ""
	for id, n := range seen {
		if n == 2 {
			twice = max(twice, id)
		}
	}
	var s inspect.Story
	until(t, "the table has the row", func() bool { s = in.story(twice); return s.Row != nil })
	switch {
	case s.Times != 2 || len(s.Places) != 2 || s.Space != "micro" || len(s.Surrogate) != 8 || s.Network == "":
		t.Errorf("%s: %+v", twice, s)
	case s.Answer == nil || s.Answer.Model == nil || s.Answer.Tasks["accuracy"] == nil || s.Answer.Source.Offset != s.Places[1].Offset:
		t.Errorf("%s: the answer is %+v", twice, s.Answer)
	case s.Row.Commit < 0 || s.Row.Model != *s.Answer.Model:
		t.Errorf("%s: the row is %+v and the model %s", twice, s.Row, *s.Answer.Model)
	}
	if _, err := os.Stat(filepath.Join(in.data, "tables", s.Row.File)); err != nil {
		t.Error(err)
	}
	if said := in.ok("explain", twice); !strings.Contains(said, "published 2 times") || !strings.Contains(said, "accuracy ") {
		t.Errorf("explain says\n%s", said)
	}
	if s := in.story("refused"); s.Class != schemas.ClassUnknownSpace || s.Reason == "" || s.Answer != nil {
		t.Errorf("a refused candidate: %+v", s)
	}
	absent := in.start("explain", "nobody")
	if absent.wait(patience) != 1 || !strings.Contains(absent.err.String(), `"nobody"`) {
		t.Errorf("explain of nobody: status %d, %s", absent.status, absent.err.String())
	}
}

// checkMaintain does beside a run what cron does.
func checkMaintain(t *testing.T, in *installation) {
	for range 2 {
		found := map[string]bool{}
		for line := range strings.Lines(in.ok("maintain", "--check", "--json")) {
			var done sinks.Maintained
			if err := json.Unmarshal([]byte(line), &done); err != nil || done.Table == "predictions" && done.Files == 0 || done.Doubled > 0 {
				t.Errorf("%s%v", line, err)
			}
			found[done.Table] = true
		}
		if !found["predictions"] || !found["labels"] {
			t.Errorf("maintained are %v", found)
		}
	}
}

func checkTap(t *testing.T, in *installation) {
	for stage, has := range map[string]string{"source": `"value":"{`, "decode": `"architecture":`, "surrogate": `"surrogate":[`, "predictions topic": `"prediction":{`} {
		watch := in.start("tap", stage, "--json", "--rate", "100/s", "--limit", "5")
		until(t, "five records have passed "+stage, func() bool {
			select {
			case <-watch.done:
				return true
			default:
			}
			in.ok("publish", "candidates", benchmark, "--limit", "50")
			return false
		})
		got := strings.Split(strings.TrimSpace(watch.out.String()), "\n")
		if watch.status != 0 || len(got) != 5 {
			t.Errorf("tap %s: status %d, %d records", stage, watch.status, len(got))
		}
		for _, line := range got {
			if !json.Valid([]byte(line)) || !strings.Contains(line, has) {
				t.Errorf("tap %s shows %s, want %s in it", stage, line, has)
			}
		}
	}
	wrong := in.start("tap", "nowhere")
	if wrong.wait(patience) != 1 || !strings.Contains(wrong.err.String(), "surrogate") {
		t.Errorf("tap of no stage: status %d, %s", wrong.status, wrong.err.String())
	}
}

func checkReplay(t *testing.T, in *installation) {
	var c replayCounts
	if err := json.Unmarshal([]byte(in.ok("replay", "dead-letters", "--json")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Letters != 1 || c.Refused[schemas.ClassUnknownSpace] != 1 || len(c.Sent) != 0 {
		t.Errorf("a letter that would be refused again: %+v", c)
	}
	letter := strings.TrimSpace(in.ok("read", "dead-letters", "--json", "--from", "start", "--exit-at-end"))
	corrected := in.lines(strings.Replace(letter, `\"space\":\"no where\"`, `\"space\":\"dag\"`, 1))
	if said := in.ok("replay", "dead-letters", corrected, "--dry-run"); !strings.Contains(said, "1 would be sent back to "+in.topic("architectures")) {
		t.Errorf("a dry run says %q", said)
	}
	if s := in.story("refused"); s.Times != 1 {
		t.Errorf("the dry run sent something: %+v", s.Places)
	}
	in.ok("replay", "dead-letters", corrected)
	until(t, "the corrected letter is answered", func() bool {
		s := in.story("refused")
		return s.Times == 2 && s.Space == "dag" && s.Answer != nil
	})
}

func checkDamaged(t *testing.T, in *installation) {
	if gone := in.start("top", "--limit", "1"); gone.wait(patience) != 1 || !strings.Contains(gone.err.String(), "no archflow answers") {
		t.Errorf("top without a run: status %d, %s", gone.status, gone.err.String())
	}
	found, status := in.examined("--brokers", "127.0.0.1:1")
	if f := found["broker"]; status != 1 || f.Status != inspect.FindingFail || !strings.Contains(f.Found, "connection refused") {
		t.Errorf("doctor without a broker: status %d, %+v", status, f)
	}
	err := filepath.WalkDir(filepath.Join(in.data, "store", "models"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Truncate(path, 100)
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, status = in.examined(); status != 1 || found["models"].Status != inspect.FindingFail {
		t.Errorf("doctor with damaged models: status %d, %+v", status, found["models"])
	}
	if err := os.RemoveAll(in.table("predictions/_delta_log")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(in.table("predictions/_delta_log"), 0o755); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(in.table("predictions/_delta_log"), fmt.Sprintf("%020d.json", 0))
	if err := os.WriteFile(damaged, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if found, status = in.examined(); status != 1 || found["table"].Status != inspect.FindingFail {
		t.Errorf("doctor with a damaged table: status %d, %+v", status, found["table"])
	}
}

// TestLetterIn: a dead letter goes back as it came, without the added headers.
func TestLetterIn(t *testing.T) {
	var m schemas.Messages
	m.Append(3, 0, []byte("k"), []schemas.Header{
		{Name: "traceparent", Value: []byte("t")}, {Name: "archflow-error", Value: []byte("why")}, {Name: "archflow-topic", Value: []byte("a")},
		{Name: "archflow-error-class", Value: []byte("json")}, {Name: "mine", Value: []byte("x")}, {Name: "archflow-cut", Value: []byte("9")},
	})
	m.Value.Append([]byte("v"))
	m.Append(4, 0, nil, nil)
	m.Value.Append(nil)
	l := letterIn(&m, 0)
	if l.topic != "a" || l.class != "json" || string(l.key) != "k" || string(l.value) != "v" || !l.cut ||
		fmt.Sprint(l.headers) != fmt.Sprint([]schemas.Header{{Name: "traceparent", Value: []byte("t")}, {Name: "mine", Value: []byte("x")}}) {
		t.Errorf("%+v", l)
	}
	if l = letterIn(&m, 1); l.key != nil || l.topic != "" || len(l.headers) != 0 {
		t.Errorf("%+v", l)
	}
	for line, ok := range map[string]bool{`{"topic":"a","value":""}`: true, `{"value":"x"}`: false, `{"topic":"a"}`: false, `x`: false} {
		if _, err := letterOf([]byte(line)); (err == nil) != ok {
			t.Errorf("%s: %v", line, err)
		}
	}
}
