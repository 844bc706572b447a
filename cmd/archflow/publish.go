package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

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

type publishCommand struct {
	Candidates publishCandidates `cmd:"" help:"Publish architectures, a JSON object a line; rows of a benchmark table are valid as they are."`
	Labels     publishLabels     `cmd:"" help:"Publish trained results: label messages, or with --task the labels of a benchmark table."`
}

type publishCandidates struct {
	Files []string `arg:"" name:"file" help:"JSON Lines; .gz and .zst too; - for standard input."`
	Rate  rate     `help:"Messages a second, for example 5000/s; without it as fast as they go." placeholder:"N/s"`
	Limit int      `help:"Publish at most this many."`
}

type publishLabels struct {
	Files []string `arg:"" name:"file" help:"JSON Lines; .gz and .zst too; - for standard input."`
	Task  string   `help:"Take labels.TASK of benchmark rows; without it the lines are label messages."`
	Goal  string   `enum:",min,max" default:"" help:"With --task: min where less of it is better."`
	Limit int      `help:"Publish a random choice of this many labels."`
	Rate  rate     `help:"Messages a second, for example 100/s." placeholder:"N/s"`
}

// rate is messages a second, 0 for no limit.
type rate float64

// UnmarshalText reads 5000/s or 5000.
func (r *rate) UnmarshalText(text []byte) error {
	number, _ := strings.CutSuffix(string(text), "/s")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) {
		return fmt.Errorf("%q is not a rate: write messages a second, for example 5000/s", text)
	}
	*r = rate(v)
	return nil
}

var errEnough = errors.New("the limit is reached")

// Run publishes every line unchanged. A line that cannot be read becomes a dead letter
// of the pipeline, which names the cause in detail. A file that begins with nothing
// else is refused before a broker is contacted.
func (p publishCandidates) Run(ctx context.Context, std console.Streams, c *commands) error {
	if err := input.Readable(p.Files); err != nil {
		return err
	}
	for _, name := range p.Files {
		if name != "-" {
			if err := p.begins(name, c); err != nil {
				return err
			}
		}
	}
	screened := screenCandidates(c)
	defer func() { screened.report(std.Err) }()
	return publish(ctx, std, c, "candidates", func(t kafka.Topics) string { return t.Architectures }, p.Rate, func(send func(message) error) error {
		n := 0
		err := input.EachLine(p.Files, std.In, c.MaxMessageBytes, func(file string, number int, line []byte) error {
			if p.Limit > 0 && n == p.Limit {
				return errEnough
			}
			n++
			return screened.pass(file, number, line, message{key: keyOf(line), value: append([]byte(nil), line...)}, send)
		})
		if err == nil || errors.Is(err, errEnough) {
			return screened.end()
		}
		return err
	})
}

// begins looks at the beginning of a file.
func (p publishCandidates) begins(name string, c *commands) error {
	screened := screenCandidates(c)
	err := input.EachLineOf(name, nil, c.MaxMessageBytes, func(file string, number int, line []byte) error {
		return screened.pass(file, number, line, message{}, func(message) error { return errEnough })
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		err = screened.end()
	}
	return err
}

// keyOf returns the id of a candidate as its key, nil when it has none.
func keyOf(line []byte) []byte {
	var row struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(finite.AsNull(line), &row) != nil || len(row.ID) == 0 {
		return nil
	}
	var text string
	if json.Unmarshal(row.ID, &text) == nil {
		return []byte(text)
	}
	return row.ID
}

// Run publishes label messages, or makes them of benchmark rows.
func (p publishLabels) Run(ctx context.Context, std console.Streams, c *commands) error {
	if p.Goal != "" && p.Task == "" {
		return cli.Refuse(fmt.Errorf(`--goal %[1]s is for the rows that --task makes labels of; label messages say it themselves: "goal": "%[1]s"`, p.Goal))
	}
	screened := screenLabels(c, p.Task)
	labels, skipped, err := p.read(std.In, c, screened)
	if err != nil {
		return err
	}
	defer func() { screened.report(std.Err) }()
	if skipped > 0 {
		fmt.Fprintf(std.Err, "archflow: %s rows have no label %q and are left out\n", progress.Thousands(int64(skipped)), p.Task)
	}
	if len(labels) == 0 {
		return p.none(skipped)
	}
	return publish(ctx, std, c, "labels", func(t kafka.Topics) string { return t.Labels }, p.Rate, func(send func(message) error) error {
		for _, m := range labels {
			if err := send(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// none says why there is no label to publish.
func (p publishLabels) none(rows int) error {
	if rows > 0 {
		return fmt.Errorf("no label to publish: none of %s rows has %q under \"labels\"", progress.Thousands(int64(rows)), p.Task)
	}
	return fmt.Errorf("no label to publish: no line in %s", strings.Join(p.Files, ", "))
}

// read returns the label messages of the files, a random choice of them with
// --limit.
func (p publishLabels) read(in io.Reader, c *commands, screened *screening) (labels []message, skipped int, err error) {
	keep := func(m message) error {
		labels = append(labels, m)
		return nil
	}
	err = input.EachLine(p.Files, in, c.MaxMessageBytes, func(file string, number int, line []byte) error {
		if p.Task == "" {
			return screened.pass(file, number, line, message{key: keyOf(line), value: append([]byte(nil), line...)}, keep)
		}
		m, ok, err := labelOf(line, p.Task, p.Goal)
		if err != nil {
			return fmt.Errorf("%s:%d: %w%s", file, number, err, screened.cure(line))
		}
		if !ok {
			skipped++
			return nil
		}
		return screened.pass(file, number, m.value, m, keep)
	})
	if err == nil {
		err = screened.end()
	}
	if p.Limit > 0 && p.Limit < len(labels) {
		random := rand.New(rand.NewPCG(c.Seed, 0))
		random.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
		labels = labels[:p.Limit]
	}
	return labels, skipped, err
}

// labelOf makes a label message of a benchmark row; ok is false when the row
// has no label of that task.
func labelOf(line []byte, task, goal string) (m message, ok bool, err error) {
	members := map[string]json.RawMessage{}
	plain := finite.AsNull(line) // some tables write NaN where a label is missing
	if json.Unmarshal(plain, &members) != nil {
		return m, false, errors.New("not a row of a benchmark table")
	}
	value, err := valueOf(members["labels"], task)
	if value == nil || err != nil {
		return m, false, err
	}
	label := map[string]any{"task": task, "value": *value}
	if space := members["space"]; space != nil {
		label["space"] = space
	}
	for _, name := range architectureMembers {
		if name == "arch" && members["ops"] != nil {
			continue
		}
		if raw := members[name]; len(raw) > 0 {
			label[name] = raw
		}
	}
	if goal != "" {
		label["goal"] = goal
	}
	text, err := json.Marshal(label)
	return message{key: keyOf(line), value: text}, true, err
}

// valueOf returns the value of a task in the labels of a row, nil where there is none.
func valueOf(labels json.RawMessage, task string) (value *float64, err error) {
	var values map[string]json.RawMessage
	if labels != nil && json.Unmarshal(labels, &values) != nil {
		return nil, fmt.Errorf(`"labels" is not an object of numbers; write "labels": {%q: 0.9}`, task)
	}
	if raw := values[task]; raw != nil && json.Unmarshal(raw, &value) != nil {
		return nil, fmt.Errorf("the label %q is %.60s, which is not a number; write a number without quotation marks, or null where there is none", task, raw)
	}
	return value, nil
}

// architectureMembers are those that say which architecture a label is of.
var architectureMembers = []string{
	"id", "arch", "ops", "edges", "ops_reduce", "edges_reduce", "edge_ops", "hyperparameters",
	"adjacency", "matrix", "module_adjacency", "module_operations",
}

// message is what goes to a topic.
type message struct{ key, value []byte }

// publish sends what feed gives to a topic, at a rate, in the trace of this
// command when traces are on.
func publish(ctx context.Context, std console.Streams, c *commands, what string, topic func(kafka.Topics) string, limit rate, feed func(send func(message) error) error) error {
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		cluster, err := pipeline.Dial(ctx, &c.Config, report.Log)
		if err != nil {
			return console.InterruptedOr(ctx, err, "nothing is published")
		}
		defer cluster.Close()
		to := topic(cluster.Topics)
		writer := cluster.Writer(to)
		tracer := otel.Tracer("archflow")
		bar := progress.NewBar(std.Err, what, 0)
		began, paced, sent := time.Now(), 0, 0
		err = deliver(ctx, writer, func(send func(message) error) error {
			return feed(func(m message) error {
				if limit > 0 {
					if err := pace(ctx, began, float64(paced)/float64(limit)); err != nil {
						return err
					}
					paced++
				}
				return send(m)
			})
		}, func(m message) error {
			sent++
			bar.Add(1, "")
			// A trace a message: one for all would be too large for any viewer, and
			// would be sampled whole or not at all.
			traced, span := tracer.Start(ctx, "publish "+to, trace.WithSpanKind(trace.SpanKindProducer))
			defer span.End()
			return writer.Write(ctx, m.key, m.value, traceHeaders(traced))
		})
		cut := err != nil && ctx.Err() != nil
		if flushErr := writer.Close(context.WithoutCancel(ctx)); err == nil || cut {
			err = flushErr
		}
		bar.Finish()
		if err != nil {
			return fmt.Errorf("publish to %s: %w", to, err)
		}
		if cut {
			return fmt.Errorf("%w: %s %s are in %s, the rest is not published", console.ErrInterrupted, progress.Thousands(int64(sent)), what, to)
		}
		if c.JSON {
			return finite.Encode(std.Out, map[string]any{"topic": to, "messages": sent, "seconds": time.Since(began).Seconds()})
		}
		_, err = fmt.Fprintf(std.Out, "%s %s published to %s\n", progress.Thousands(int64(sent)), what, to)
		return err
	})
}

// flushEvery is the longest wait of a message for others in its batch, so that a slow
// feed arrives without delay.
const flushEvery = 50 * time.Millisecond

// deliver writes what feed sends, until feed has ended or ctx has: a feed that
// waits for input does not hold up the stop.
func deliver(ctx context.Context, writer *kafka.Writer, feed func(send func(message) error) error, write func(message) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages, fed := make(chan message, 1), make(chan error, 1)
	go func() {
		defer close(messages)
		fed <- feed(func(m message) error {
			select {
			case messages <- m:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case m, open := <-messages:
			if !open {
				return <-fed
			}
			err = write(m)
		case <-tick.C:
			err = writer.Flush(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// pace sleeps until seconds after began.
func pace(ctx context.Context, began time.Time, seconds float64) error {
	return console.Sleep(ctx, time.Until(began.Add(time.Duration(seconds*float64(time.Second)))))
}

// traceHeaders returns the W3C headers of the span in ctx, none when traces are
// off.
func traceHeaders(ctx context.Context) []schemas.Header {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	var headers []schemas.Header
	for _, name := range []string{"traceparent", "tracestate"} {
		if value := carrier.Get(name); value != "" {
			headers = append(headers, schemas.Header{Name: name, Value: []byte(value)})
		}
	}
	return headers
}
