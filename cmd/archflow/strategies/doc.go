// Package strategies holds searches for good architectures: what was trained
// arrives, and the places of the next to train leave. A strategy is a function of
// the trials before and of a seed, so that a search that was stopped goes on as if
// it had not been.
package strategies
