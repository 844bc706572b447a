package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

type readCommand struct {
	Topic string `arg:"" enum:"predictions,dead-letters,architectures,labels,models,trials" help:"predictions, dead-letters, architectures, labels, models or trials."`
	From  string `default:"end" help:"start, end, or a time such as 2026-01-31T12:00:00Z or 15m (ago)."`
	Limit int    `help:"Stop after this many messages."`
}

// Run follows a topic until a signal, --limit or, with --exit-at-end, its end.
func (r readCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	at, err := parseFrom(r.From, time.Now())
	if err != nil {
		return cli.Refuse(err)
	}
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		stopped := func(err error) error {
			if r.Limit > 0 || c.ExitAtEnd {
				return console.InterruptedOr(ctx, err, "not all that was asked for is shown")
			}
			return console.StoppedOr(ctx, err)
		}
		kafka, err := pipeline.Attach(ctx, &c.Config, report.Log)
		if err != nil {
			return stopped(err)
		}
		defer kafka.Close()
		if err := present(kafka, kafka.Topics.Named(r.Topic)); err != nil {
			return err
		}
		out := bufio.NewWriter(std.Out)
		defer out.Flush()
		n := 0
		err = kafka.Follow(ctx, kafka.Topics.Named(r.Topic), at, c.ExitAtEnd, func(p schemas.TopicPartition, m *schemas.Messages) error {
			for i := range m.Len() {
				if err := writeMessage(out, r.Topic, c.JSON, p, m, i); err != nil {
					return err
				}
				if n++; r.Limit > 0 && n >= r.Limit {
					return errEnough
				}
			}
			return out.Flush()
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return stopped(err)
	})
}

// present refuses a topic that does not exist: a reader creates none.
func present(d *pipeline.Connected, topic string) error {
	if d.Partitions[topic] > 0 {
		return nil
	}
	makes := "archflow run and archflow publish make it"
	if topic == d.Topics.Trials {
		makes = "archflow search makes it"
	}
	return fmt.Errorf("there is no topic %s at %s; %s, or name another --topic-prefix", topic, strings.Join(d.Connection.Brokers, ", "), makes)
}

// parseFrom reads where to begin.
func parseFrom(text string, now time.Time) (pipeline.From, error) {
	switch text {
	case "start":
		return pipeline.From{Start: true}, nil
	case "end":
		return pipeline.From{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return pipeline.From{Time: now.Add(-ago.Abs())}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return pipeline.From{Time: t}, nil
		}
	}
	return pipeline.From{}, fmt.Errorf("--from %q: write start, end, a time such as 2026-01-31T12:00:00Z, or how long ago, such as 15m", text)
}

// writeMessage prints message i. As JSON a dead letter is wrapped, because its class
// and reason are headers; every other message is printed unchanged.
func writeMessage(w io.Writer, topic string, asJSON bool, p schemas.TopicPartition, m *schemas.Messages, i int) error {
	value := m.Value.At(i)
	var err error
	switch {
	case topic == "dead-letters":
		err = writeDeadLetter(w, asJSON, m, i)
	case asJSON && json.Valid(value):
		_, err = fmt.Fprintf(w, "%s\n", value)
	case asJSON:
		err = finite.Encode(w, map[string]any{"topic": p.Topic, "partition": p.Number, "offset": m.Offset[i], "value": console.Printable(value)})
	case topic == "predictions":
		err = writePrediction(w, value)
	default:
		_, err = fmt.Fprintf(w, "%d/%d  %s  %s\n", p.Number, m.Offset[i], console.Printable(m.Key.At(i)), console.Printable(value))
	}
	return err
}

func writeDeadLetter(w io.Writer, asJSON bool, m *schemas.Messages, i int) error {
	header := func(name string) string { return console.Printable(m.Header(i, name)) }
	if !asJSON {
		_, err := fmt.Fprintf(w, "%s/%s/%s  %s: %s\n    %.200s\n", header("archflow-topic"), header("archflow-partition"), header("archflow-offset"),
			header("archflow-error-class"), header("archflow-error"), console.Printable(m.Value.At(i)))
		return err
	}
	letter := struct {
		Topic     string          `json:"topic"`
		Partition json.RawMessage `json:"partition"`
		Offset    json.RawMessage `json:"offset"`
		Class     string          `json:"error_class"`
		Error     string          `json:"error"`
		Key       string          `json:"key"`
		Value     string          `json:"value"`
	}{
		header("archflow-topic"), rawNumber(header("archflow-partition")), rawNumber(header("archflow-offset")),
		header("archflow-error-class"), header("archflow-error"), console.Printable(m.Key.At(i)), console.Printable(m.Value.At(i)),
	}
	return finite.Encode(w, letter)
}

func rawNumber(text string) json.RawMessage {
	if !json.Valid([]byte(text)) {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

func writePrediction(w io.Writer, value []byte) error {
	p, err := schemas.ParsePrediction(value)
	if err != nil {
		_, err = fmt.Fprintf(w, "not a prediction: %v: %.200s\n", err, console.Printable(value))
		return err
	}
	name := strings.Trim(string(p.ID), `"`)
	if name == "" || name == "null" {
		name = p.Architecture
	}
	var tasks []string
	for task, answer := range p.Tasks {
		if answer != nil {
			tasks = append(tasks, task+" "+answerText(answer))
		}
	}
	sort.Strings(tasks)
	said := strings.Join(tasks, "; ")
	if said == "" {
		said = "unanswered: " + p.Reason
	}
	model := "no model"
	if p.Model != nil {
		model = *p.Model
	}
	_, err = fmt.Fprintf(w, "%-8s %-34s %s (%s)\n", p.Space, name, said, model)
	return err
}

// answerText is the prediction of one task as text.
func answerText(t *schemas.TaskPrediction) string {
	said := fmt.Sprintf("%s [%s, %s], better than %s %%", number(t.Value), number(t.Low), number(t.High), number(t.Percentile))
	return said + bestText(t.Top)
}

// bestText says how probable it is to be among the best, nothing when that is
// not known.
func bestText(top *float64) string {
	if top == nil {
		return ""
	}
	if *top < 1e-4 {
		return ", among the best 1 % with less than 0.01 %"
	}
	if *top >= .995 {
		return ", among the best 1 % with more than 99 %"
	}
	return fmt.Sprintf(", among the best 1 %% with %.2g %%", 100**top)
}

func number(v *float64) string {
	if v == nil {
		return "?"
	}
	return fmt.Sprintf("%.4g", *v)
}
