package main

import (
	"context"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/experiments"
)

type experimentCommand struct{ experiments.Options }

// Help is the help that the flags lack.
func (experimentCommand) Help() string {
	return `Learns from a few labels of a benchmark table and ranks the rest, once for each seed and permutation, and shows Kendall's tau, Spearman's correlation and the precision among the predicted top 1, 5 and 10 %, with mean and standard deviation.

--predictor, --encoder, --width and --layers count here too; a suite measures all encoders without --encoder. Without --epochs the encoder is pre-trained for 200 epochs, as published, and for the best predictor for 40. --published takes every choice of the paper.

Suite search replays searches on a table in this process, with the learner of the pipeline: regret is how far the best that was trained is from the best of the table. The other suites measure --predictor fgp. --encoder, --pretrain, --share and --only take a part of it, --resume keeps every run, whichever part it was measured for, and each row says what it costs: minutes of a run alone, architectures ranked a second, and surrogates a second.`
}

// Run measures and prints.
func (x experimentCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	isSet := func(flag string) bool {
		_, set := c.parsed.Set(flag)
		return set
	}
	return x.Options.Run(ctx, std, &experiments.Settings{Config: &c.Config, IsSet: isSet, JSON: c.JSON})
}
