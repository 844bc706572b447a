package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"archflow/cmd/archflow/console"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/sinks"
)

type maintainCommand struct {
	Rewrite bool `help:"Write files anew that Spark and other readers built on parquet-java cannot read, which are those of 0.1.0, and those with rows that are there twice."`
	Check   bool `help:"Read every file and count rows that are there twice."`
	Refill  bool `help:"Give the tables the rows that they have lost, as by a RESTORE to an older version: from files that are still there, else from the topics."`
}

// Run does the upkeep of the tables once; 'archflow run' does it by itself.
func (m maintainCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	return withTelemetry(ctx, std, &c.Config, func(report *ops.Telemetry) error {
		if m.Refill {
			err := pipeline.Refill(ctx, &c.Config, report.Log, func(done pipeline.Refilled) error { return tellRefilled(std, c.JSON, done) })
			if err != nil {
				return console.InterruptedOr(ctx, err, "what was done stays")
			}
		}
		bucket, err := pipeline.OpenTables(ctx, &c.Config)
		if err != nil {
			return err
		}
		defer bucket.Close()
		none := true
		for _, table := range []string{"predictions", "labels", "dead_letters", "scores", "models"} {
			done, err := sinks.Maintain(ctx, bucket, table, sinks.Upkeep{Rewrite: m.Rewrite, Check: m.Check})
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return console.InterruptedOr(ctx, err, "what was done stays")
			}
			none = false
			if err := tellMaintained(std, c.JSON, done); err != nil {
				return err
			}
		}
		if none {
			return fmt.Errorf("%s has no table; name the place with --table", bucket.URL())
		}
		return nil
	})
}

func tellRefilled(std console.Streams, asJSON bool, done pipeline.Refilled) error {
	if asJSON {
		return finite.Encode(std.Out, done)
	}
	_, err := fmt.Fprintf(std.Out, "%-12s %s rows refilled: %s from files that were removed, %s from the topics\n", done.Table,
		progress.Thousands(done.Reclaimed+done.Refilled), progress.Thousands(done.Reclaimed), progress.Thousands(done.Refilled))
	if err == nil && done.Lost > 0 {
		_, err = fmt.Fprintf(std.Out, "%-12s %s files were gone and are no longer part of the table\n", "", progress.Thousands(int64(done.Lost)))
	}
	if err == nil && done.Gone > 0 {
		_, err = fmt.Fprintf(std.Out, "%-12s %s rows are lost: the topics no longer have their candidates\n", "", progress.Thousands(done.Gone))
	}
	return err
}

func tellMaintained(std console.Streams, asJSON bool, done sinks.Maintained) error {
	if asJSON {
		return finite.Encode(std.Out, done)
	}
	_, err := fmt.Fprintf(std.Out, "%-12s %s files, %s MB: %s rewritten, %s merged into others, %s given statistics, %s deleted, %s entries of the log deleted\n", done.Table,
		progress.Thousands(int64(done.Files)), progress.Thousands(done.Bytes>>20), progress.Thousands(int64(done.Rewritten)), progress.Thousands(int64(done.Merged)),
		progress.Thousands(int64(done.Stated)), progress.Thousands(int64(done.Vacuumed)), progress.Thousands(int64(done.Cleaned)))
	if err == nil && done.Doubled > 0 {
		_, err = fmt.Fprintf(std.Out, "%-12s %s rows were there twice; --rewrite drops them\n", "", progress.Thousands(int64(done.Doubled)))
	}
	return err
}
