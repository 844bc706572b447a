package main

import (
	"context"

	"archflow/cmd/archflow/bench"
	"archflow/internal/finite"
)

type benchCommand struct{ bench.Options }

// Run measures this machine and prints what is finished, also when it is
// interrupted.
func (x benchCommand) Run(ctx context.Context, std console, c *commands) error {
	result, err := bench.Measure(ctx, x.Options, &c.Config, version, std.err)
	if err != nil {
		return err
	}
	if c.JSON {
		return finite.Encode(std.out, result)
	}
	return result.Print(std.out)
}
