package main

import (
	"context"
	"fmt"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
)

type rescoreCommand struct {
	Spaces []string `arg:"" optional:"" name:"space" help:"Spaces; without any, all that have a model."`
	Limit  int      `placeholder:"N" help:"Networks of each space: those never answered first, then the newest. Without it all of them."`
}

// Run scores the networks of the predictions table with the newest models.
func (r rescoreCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	if r.Limit < 0 {
		return cli.Refuse(fmt.Errorf("--limit: %d is negative", r.Limit))
	}
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		err := pipeline.Rescore(ctx, &c.Config, report.Log, r.Spaces, r.Limit, func(done pipeline.Rescored) error {
			if c.JSON {
				return finite.Encode(std.Out, done)
			}
			rate := 0.
			if seconds := done.Seconds - done.Reading; seconds > 0 {
				rate = float64(done.Scored) / seconds
			}
			_, err := fmt.Fprintf(std.Out, "%-12s %s of %s networks scored by %s, %s before, in %.1f s (%s/s once they were chosen)\n", done.Space,
				progress.Thousands(int64(done.Scored)), progress.Thousands(int64(done.Networks)), done.Model, progress.Thousands(int64(done.ScoredBefore)), done.Seconds, progress.Thousands(int64(rate)))
			if err == nil && done.Refused > 0 {
				_, err = fmt.Fprintf(std.Out, "%-12s %s rows are no candidates of this version\n", "", progress.Thousands(int64(done.Refused)))
			}
			return err
		})
		return console.InterruptedOr(ctx, err, "what was scored stays; run it again for the rest")
	})
}
