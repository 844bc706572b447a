package inspect

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archflow/internal/cli"
	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
	"archflow/sinks"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }

// settings returns the defaults with a small encoder and no page.
func settings(t *testing.T) *pipeline.Config {
	t.Helper()
	var c pipeline.Config
	parser, err := cli.New("", "", "", &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil, nil); err != nil {
		t.Fatal(err)
	}
	c.Data, c.HTTP = t.TempDir(), "off"
	c.Width, c.Layers, c.Epochs, c.Buffer = 16, 2, 1, 256
	c.TableInterval = 300 * time.Millisecond
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return &c
}

func telemetry(t *testing.T) *ops.Telemetry {
	t.Helper()
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: t.Output(), LogLevel: slog.LevelWarn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = report.Shutdown(context.Background()) })
	return report
}

// chain is a candidate of nine nodes in a row.
func chain(i int) string {
	ops := `"input"`
	edges := ""
	for b := range 7 {
		ops += fmt.Sprintf(`,"op%d"`, i>>b&1)
		edges += fmt.Sprintf("[%d,%d],", b, b+1)
	}
	return fmt.Sprintf(`{"space":"dag","id":"c%d","ops":[%s,"output"],"edges":[%s[7,8]]}`, i, ops, edges)
}

func send(t *testing.T, w *kafka.Writer, value string) {
	t.Helper()
	if err := w.Write(t.Context(), nil, []byte(value), nil); err != nil {
		t.Fatal(err)
	}
}

// TestExplain: candidates whose rows the table has, one with labels, one that never
// was, and one whose message is gone.
func TestExplain(t *testing.T) {
	c, report := settings(t), telemetry(t)
	c.Role, c.ExitAtEnd = pipeline.RoleWorker, true
	d, err := pipeline.Dial(t.Context(), c, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	w := d.Writer(d.Topics.Architectures)
	for i := range 20 {
		send(t, w, chain(i))
	}
	const wrong = `,"ops":["input","x","output"],"edges":[[0,1],[1,9]]}`
	send(t, w, `{"space":"dag","id":"c77"`+wrong) // c7 is in its id
	send(t, w, `{"space":"dag","id":"c88"`+wrong)
	send(t, w, "no JSON, with a c99 in it")
	send(t, w, `{"space":"sizes","id":"c3","hyperparameters":{"depth":3}}`)
	send(t, w, `{"space":"widths","id":"c3","hyperparameters":{"width":3}}`)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = d.Writer(d.Topics.Labels)
	send(t, w, `{"space":"dag","id":"c5","task":"acc","failed":true}`)
	send(t, w, `{"space":"dag","id":"\u00635","task":"acc","value":0.5,"seed":3,"fidelity":10}`)
	send(t, w, `{"space":"dag","id":"c5","task":"acc","value":null,"seed":3}`)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Close()
	p, err := pipeline.Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Run(t.Context())
	p.Close()
	if err != nil {
		t.Fatal(err)
	}

	filled := c
	story := func(id string) *Story {
		s, err := Explain(t.Context(), c, slog.New(slog.DiscardHandler), id, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := story("c7")
	if s.Row == nil || s.Row.Commit < 0 || s.Answer == nil || s.Times != 1 || s.Nodes != 9 || s.LiveNodes != 9 || s.Gone {
		t.Fatalf("c7: %+v", s)
	}
	hash := s.Network
	if s := story(hash); s.ID != "c7" || s.Row == nil {
		t.Errorf("by the hash of its network: %+v", s)
	}
	if s := story("c3"); len(s.Spaces) != 3 || s.Times != 1 || len(s.Places) != 1 {
		t.Errorf("of three spaces: %+v", s)
	}
	for _, space := range []string{"dag", "sizes", "widths"} {
		s, err := Explain(t.Context(), c, slog.New(slog.DiscardHandler), "c3", space)
		if err != nil || s.Space != space || s.Times != 1 || s.Row == nil || s.Spaces != nil {
			t.Errorf("of %s: %v, %+v", space, err, s)
		}
	}
	if l := story("c5").Labels; len(l) != 3 || !l[0].Failed || l[0].Withdrawn || l[1].Value == nil || l[1].Seed != "3" || l[1].Fidelity == nil || *l[1].Fidelity != 10 ||
		l[2].Failed || !l[2].Withdrawn || l[2].Seed != "3" || l[2].Fidelity != nil {
		t.Errorf("labels: %+v", l)
	}
	if s := story("c20"); s.Times != 0 {
		t.Errorf("one that never was: %+v", s)
	}

	for _, scanned := range []bool{false, true} { // from the table of dead letters, and from the topic
		if scanned {
			empty := *c
			empty.Table = t.TempDir()
			c = &empty
		}
		if s := story("c7"); s.Times != 1 || s.Class != "" {
			t.Errorf("a refused message has the id in its own: %+v", s)
		}
		if s := story("c88"); s.Times != 1 || s.Class == "" {
			t.Errorf("a refused message: %+v", s)
		}
		for _, id := range []string{"c8", "c99"} {
			if s := story(id); s.Class != "" {
				t.Errorf("%s, which was not refused: %+v", id, s)
			}
		}
		for space, times := range map[string]int{"dag": 1, "sizes": 0} {
			if s, err := Explain(t.Context(), c, slog.New(slog.DiscardHandler), "c88", space); err != nil || s.Times != times {
				t.Errorf("a refused message of %s: %v, %+v", space, err, s)
			}
		}
	}
	if _, err := Explain(t.Context(), c, slog.New(slog.DiscardHandler), "", ""); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("no id: %v", err)
	}
	c = filled

	attached, err := pipeline.Attach(t.Context(), c, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer attached.Close()
	tables, err := sinks.OpenBucket(t.Context(), c.TablePlace())
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	teller := &storyteller{Connected: attached, decoder: schemas.NewDecoder(c.Limits()), config: c, bucket: tables, story: Story{Asked: "c7"}, spaceOf: map[Place]string{}, times: map[string]int{}}
	rows, _, err := teller.indexed(t.Context())
	if err != nil || len(rows) != 1 {
		t.Fatalf("the table has %d rows of it, %v", len(rows), err)
	}
	teller.row = &rows[0]
	gone := rows[0].at
	gone.Offset += 1 << 20
	if err := teller.fetch(t.Context(), gone); err != nil || !teller.story.Gone || teller.story.Space != "dag" || teller.story.Network != hash || teller.story.Nodes != 9 || len(teller.story.Surrogate) == 0 {
		t.Errorf("whose message is gone: %v, %+v", err, teller.story)
	}
}
