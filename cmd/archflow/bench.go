package main

import (
	"context"

	"archflow/cmd/archflow/bench"
	"archflow/cmd/archflow/console"
	"archflow/internal/finite"
)

type benchCommand struct{ bench.Options }

// Run measures this machine and prints the finished figures, also when it is
// interrupted.
func (x benchCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	result, err := bench.Measure(ctx, x.Options, &c.Config, version, std.Err)
	if err != nil {
		return err
	}
	if c.JSON {
		return finite.Encode(std.Out, result)
	}
	return result.Print(std.Out)
}
