package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/pipeline/inspect"
)

type explainCommand struct {
	Space string `help:"Space of the candidate, where several have the same id."`
	ID    string `arg:"" name:"id" help:"Id or key of a candidate, or the hash of its architecture or network."`
}

// Run prints all that topics and tables hold of one candidate.
func (e explainCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		story, err := inspect.Explain(ctx, &c.Config, report.Log, e.ID, e.Space)
		if err != nil {
			return console.InterruptedOr(ctx, err, "nothing is looked up")
		}
		if story.Times == 0 {
			if e.Space != "" {
				return fmt.Errorf("no candidate with the id, key or hash %q of space %q in %sarchitectures: without --space every space is looked through", e.ID, e.Space, c.TopicPrefix)
			}
			return fmt.Errorf("no candidate with the id, key or hash %q in %sarchitectures: was it published to this --topic-prefix, and does the topic still keep it?", e.ID, c.TopicPrefix)
		}
		if c.JSON {
			return finite.Encode(std.Out, story)
		}
		return writeStory(std.Out, story)
	})
}

// writeStory writes a story in the order in which it happened.
func writeStory(w io.Writer, s *inspect.Story) (err error) {
	line := func(what, format string, a ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-12s %s\n", what, console.Printable(fmt.Appendf(nil, format, a...)))
		}
	}
	last := s.Places[len(s.Places)-1]
	line("position", "%s, %s", at(last), last.Time.Format(time.RFC3339))
	if s.Times > 1 {
		line("", "published %s times; this is the last", progress.Thousands(int64(s.Times)))
	}
	if len(s.Spaces) > 0 {
		line("", "candidates of %s have this id; --space names the one to tell of", strings.Join(s.Spaces, ", "))
	}
	if s.Class != "" {
		line("decode", "refused, %s: %s", s.Class, s.Reason)
		return err
	}
	line("decode", "space %s, id %q, %d nodes, %d edges, architecture %s", s.Space, s.ID, s.Nodes, s.Edges, s.Architecture)
	if s.Graph != "" {
		line("graph", "%s", s.Graph)
	}
	if s.Gone {
		line("network", "%s", s.Network)
		line("", "the topic no longer has the message; the table does")
	} else {
		line("network", "%s, %d nodes on a path from input to output", s.Network, s.LiveNodes)
	}
	line("surrogate", "%d values, %.4g", len(s.Surrogate), s.Surrogate[:min(len(s.Surrogate), 6)])
	switch a := s.Answer; a {
	case nil:
		line("prediction", "none yet: does a worker run, and how far is it behind? see 'archflow top'")
	default:
		model := "no model"
		if a.Model != nil {
			model = "model " + *a.Model
		}
		line("prediction", "%s by %s, %s", at(a.Place), model, a.Time.Format(time.RFC3339))
		for _, task := range sortedNames(a.Tasks) {
			if t := a.Tasks[task]; t != nil {
				line("", "%s %s", task, answerText(t))
			}
		}
		if a.Reason != "" {
			line("", "unanswered: %s", a.Reason)
		}
	}
	switch r := s.Row; {
	case r == nil:
		line("table", "no row yet: the table is committed every few seconds")
	case r.Commit < 0:
		line("table", "%s, a commit that the log no longer lists", r.File)
	default:
		line("table", "%s, commit %d", r.File, r.Commit)
	}
	for i := range s.Labels {
		l := &s.Labels[i]
		line("label", "%s %s, %s, %s", l.Task, labelText(l), at(l.Place), l.Time.Format(time.RFC3339))
		if p := l.Predicted; p != nil {
			line("", "before it was used: %s [%s, %s] by model %s", number(p.Value), number(p.Low), number(p.High), p.Model)
		}
		if d := l.Considered; d != nil {
			line("", "considered %s: %s", d.Time.Format(time.RFC3339), decisionText(d))
		} else {
			line("", "not considered yet: does a trainer run?")
		}
	}
	if len(s.Labels) == 0 {
		line("label", "none")
	}
	for i := range s.Decisions {
		d := &s.Decisions[i]
		line("decision", "%s, %s: %s", d.Task, d.Time.Format(time.RFC3339), decisionText(d))
	}
	return err
}

// labelText is what a label says, and of which training.
func labelText(l *inspect.StoryLabel) string {
	text := "no number"
	switch {
	case l.Withdrawn:
		text = "withdrawn"
	case l.Failed:
		text = "failed"
	case l.Value != nil:
		text = number(l.Value)
	}
	if l.Seed != "" {
		text += ", seed " + l.Seed
	}
	if l.Fidelity != nil {
		text += fmt.Sprintf(", fidelity %g", *l.Fidelity)
	}
	return text
}

func decisionText(d *decisions.Decision) string {
	model := "no model"
	if d.Model != nil {
		model = fmt.Sprintf("model %s of %d labels", *d.Model, d.Labels)
	}
	return fmt.Sprintf("%s, %s; %s", d.Decision, model, d.Why)
}

func at(p inspect.Place) string {
	return fmt.Sprintf("%s/%d offset %d", p.Topic, p.Partition, p.Offset)
}
