package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"strings"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
)

type runCommand struct{}

// Run runs the pipeline until a signal, or, with --exit-at-end, until the
// topics have been processed.
func (runCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	if err := oneEncoder(c); err != nil {
		return cli.Refuse(err)
	}
	pipeline.KeepSmall()
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		const cut = "the topics are not processed to their end; the next start goes on from the last commit"
		p, err := pipeline.Open(ctx, &c.Config, report, version)
		if err != nil && c.ExitAtEnd {
			return console.InterruptedOr(ctx, err, cut)
		}
		if err != nil {
			return console.StoppedOr(ctx, err)
		}
		defer p.Close()
		if err := p.Run(ctx); err != nil {
			return err
		}
		if c.ExitAtEnd {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %s", console.ErrInterrupted, cut)
			}
			return printSummary(std.Out, p.Summary(), c.JSON, c.TablePlace())
		}
		return nil
	})
}

// withTelemetry runs f between the start and the shutdown of logs, metrics and
// traces.
func withTelemetry(ctx context.Context, std console.Streams, c *pipeline.Config, f func(*ops.Telemetry) error) error {
	report, err := ops.Start(ctx, ops.Options{Version: version, Group: c.Group, LogFormat: c.LogFormat, LogOutput: std.Err})
	if err != nil {
		return cli.Refuse(err)
	}
	slog.SetDefault(report.Log) // libraries, such as the object store's, write there
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := report.Shutdown(flush); err != nil {
			fmt.Fprintf(std.Err, "archflow: telemetry: %v\n", err)
		}
	}()
	return f(report)
}

func printSummary(out io.Writer, s pipeline.Summary, asJSON bool, table string) error {
	if asJSON {
		return finite.Encode(out, s)
	}
	letters := int64(0)
	classes := make([]string, 0, len(s.DeadLetters))
	for class, n := range s.DeadLetters {
		letters += n
		classes = append(classes, fmt.Sprintf("%s %s", progress.Thousands(n), class))
	}
	sort.Strings(classes)
	fmt.Fprintf(out, "candidates    %10s   in %.1f s, %s/s\n", progress.Thousands(s.Candidates), s.Seconds, progress.Thousands(int64(float64(s.Candidates)/max(s.Seconds, 1e-3))))
	fmt.Fprintf(out, "predictions   %10s\n", progress.Thousands(s.Predictions))
	fmt.Fprintf(out, "dead letters  %10s   %s\n", progress.Thousands(letters), strings.Join(classes, ", "))
	fmt.Fprintf(out, "labels        %10s\n", progress.Thousands(s.Labels))
	for _, space := range s.Spaces {
		model := "no model yet"
		if space.Model != "" {
			model = "model " + space.Model
		}
		fmt.Fprintf(out, "%-13s %10s   predictions, %s of them with a score; %s networks in the replay buffer; %s\n",
			space.Space, progress.Thousands(space.Predictions), progress.Thousands(space.Answered), progress.Thousands(int64(space.Networks)), model)
	}
	_, err := fmt.Fprintf(out, "table         %s/predictions\n", strings.TrimSuffix(table, "/"))
	return err
}
