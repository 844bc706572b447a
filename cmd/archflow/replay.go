package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/input"
	"archflow/internal/kafka"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

type replayCommand struct {
	DeadLetters replayDeadLetters `cmd:"" name:"dead-letters" help:"Send dead letters back to the topic they came from: those that are accepted now."`
}

type replayDeadLetters struct {
	Files  []string `arg:"" optional:"" name:"file" help:"Corrected letters, as 'archflow read dead-letters --json' printed them, instead of those of the topic; - for standard input."`
	All    bool     `help:"Send those that would be refused again, too."`
	Class  string   `help:"Only those of this class."`
	From   string   `default:"start" help:"start, or a time such as 2026-01-31T12:00:00Z or 15m (ago): what was refused before is left alone."`
	DryRun bool     `help:"Send nothing, only say what would be sent."`
}

// deadLetter is a dead letter on its way back.
type deadLetter struct {
	topic      string // it came from
	class      string
	key, value []byte
	headers    []schemas.Header
	cut        bool // the value is not whole
}

// replay sends letters back and counts.
type replay struct {
	replayDeadLetters
	topics  kafka.Topics
	decoder *schemas.Decoder
	writer  func(topic string) *kafka.Writer // made when it is first used
	counts  replayCounts
}

type replayCounts struct {
	Letters int            `json:"letters"` // looked at
	Sent    map[string]int `json:"sent"`    // by topic
	Refused map[string]int `json:"refused"` // by class, still
	Cut     int            `json:"cut"`     // not whole
	Strange int            `json:"strange"` // from no topic that is read
}

// Run sends back the dead letters that the topic holds now, or those of files.
func (r replayDeadLetters) Run(ctx context.Context, std console.Streams, c *commands) error {
	from, err := parseFrom(r.From, time.Now())
	if err != nil || r.From == "end" {
		return cli.Refuse(errors.Join(err, fmt.Errorf("--from %q: write start, a time, or how long ago", r.From)))
	}
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		cluster, err := pipeline.Attach(ctx, &c.Config, report.Log)
		if err != nil {
			return console.InterruptedOr(ctx, err, "nothing is sent back")
		}
		defer cluster.Close()
		for _, topic := range []string{cluster.Topics.Architectures, cluster.Topics.Labels, cluster.Topics.DeadLetters} {
			if err := present(cluster, topic); err != nil {
				return err
			}
		}
		back := replay{
			replayDeadLetters: r, topics: cluster.Topics, decoder: schemas.NewDecoder(c.Limits()),
			counts: replayCounts{Sent: map[string]int{}, Refused: map[string]int{}},
		}
		writers := map[string]*kafka.Writer{}
		back.writer = func(topic string) *kafka.Writer {
			if writers[topic] == nil {
				writers[topic] = cluster.Writer(topic)
			}
			return writers[topic]
		}
		if len(r.Files) > 0 {
			err = input.EachLine(r.Files, std.In, 4*c.MaxMessageBytes, func(file string, number int, line []byte) error {
				l, err := letterOf(line)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", file, number, err)
				}
				return back.send(ctx, l)
			})
		} else {
			err = cluster.Follow(ctx, cluster.Topics.DeadLetters, from, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
				for i := range m.Len() {
					if err := back.send(ctx, letterIn(m, i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, w := range writers {
			err = errors.Join(err, w.Close(context.WithoutCancel(ctx)))
		}
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("%w: %s are sent back, the rest is not", console.ErrInterrupted, progress.Thousands(int64(back.sent())))
		}
		if err != nil {
			return fmt.Errorf("%w; %s were sent before", err, progress.Thousands(int64(back.sent())))
		}
		return back.report(std, c.JSON)
	})
}

// letterIn reads message i of the topic dead-letters.
func letterIn(m *schemas.Messages, i int) deadLetter {
	l := deadLetter{value: append([]byte(nil), m.Value.At(i)...)}
	if key := m.Key.At(i); len(key) > 0 {
		l.key = append([]byte(nil), key...)
	}
	for _, h := range m.Headers(i) {
		switch {
		case h.Name == "archflow-topic":
			l.topic = string(h.Value)
		case h.Name == "archflow-error-class":
			l.class = string(h.Value)
		case h.Name == "archflow-cut":
			l.cut = true
		case !strings.HasPrefix(h.Name, "archflow-"):
			l.headers = append(l.headers, h)
		}
	}
	return l
}

// letterOf reads a line that read printed and somebody has corrected.
func letterOf(line []byte) (deadLetter, error) {
	var l struct {
		Topic *string `json:"topic"`
		Class string  `json:"error_class"`
		Key   string  `json:"key"`
		Value *string `json:"value"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return deadLetter{}, fmt.Errorf("not a dead letter as 'archflow read dead-letters --json' prints them: %w", err)
	}
	if l.Topic == nil || l.Value == nil {
		return deadLetter{}, errors.New(`a dead letter needs "topic" and "value", as 'archflow read dead-letters --json' prints them`)
	}
	back := deadLetter{topic: *l.Topic, class: l.Class, value: []byte(*l.Value)}
	if l.Key != "" {
		back.key = []byte(l.Key)
	}
	return back, nil
}

// send sends a letter back, unless it would be refused again.
func (r *replay) send(ctx context.Context, l deadLetter) error {
	if r.Class != "" && l.class != r.Class {
		return nil
	}
	r.counts.Letters++
	var refused *schemas.Rejection
	switch l.topic {
	case r.topics.Architectures:
		var row schemas.Candidates
		refused = r.decoder.Candidate(&row, l.value)
	case r.topics.Labels:
		_, refused = r.decoder.Label(l.value)
	default:
		r.counts.Strange++
		return nil
	}
	switch {
	case l.cut:
		r.counts.Cut++
		return nil
	case refused != nil && !r.All:
		r.counts.Refused[refused.Class]++
		return nil
	}
	r.counts.Sent[l.topic]++
	if r.DryRun {
		return nil
	}
	return r.writer(l.topic).Write(ctx, l.key, l.value, l.headers)
}

func (r *replay) sent() int {
	n := 0
	for _, of := range r.counts.Sent {
		n += of
	}
	return n
}

func (r *replay) report(std console.Streams, asJSON bool) error {
	if asJSON {
		return finite.Encode(std.Out, r.counts)
	}
	did := "sent back to"
	if r.DryRun {
		did = "would be sent back to"
	}
	for _, topic := range sortedNames(r.counts.Sent) {
		fmt.Fprintf(std.Out, "%s %s %s\n", progress.Thousands(int64(r.counts.Sent[topic])), did, topic)
	}
	for _, class := range sortedNames(r.counts.Refused) {
		fmt.Fprintf(std.Out, "%s would be refused again: %s\n", progress.Thousands(int64(r.counts.Refused[class])), class)
	}
	if r.counts.Cut > 0 {
		fmt.Fprintf(std.Out, "%s left out: too long to be kept whole; publish them anew\n", progress.Thousands(int64(r.counts.Cut)))
	}
	if r.counts.Strange > 0 {
		fmt.Fprintf(std.Out, "%s left out: from topics that this --topic-prefix does not read\n", progress.Thousands(int64(r.counts.Strange)))
	}
	_, err := fmt.Fprintf(std.Out, "%s dead letters looked at\n", progress.Thousands(int64(r.counts.Letters)))
	return err
}
