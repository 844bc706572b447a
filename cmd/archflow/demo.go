package main

import (
	"context"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/demo"
)

type demoCommand struct{}

// Run streams a small search through the whole system.
func (demoCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	return demo.Run(ctx, c.Config, version, c.JSON, std)
}
