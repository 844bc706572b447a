package main

import (
	"context"
	"encoding/json"
	"errors"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/search"
)

type searchCommand struct{ search.Options }

// Help is the help that the flags lack.
func (searchCommand) Help() string {
	return "--table FILE names a benchmark table (JSON Lines, .gz and .zst too): its rows are the candidates, and its labels the results. " +
		"Without it the candidates are those of the topic and mutations of them, and the program that trains the trials of their topic publishes the labels. " +
		"Where no archflow answers at --http, one runs in this process."
}

// Run searches and prints the result.
func (x searchCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	result, err := search.Run(ctx, x.Options, &c.Config, version, std)
	if result == nil {
		return err
	}
	if c.JSON {
		return errors.Join(json.NewEncoder(std.Out).Encode(result), err)
	}
	return errors.Join(result.Print(std.Out), err)
}
