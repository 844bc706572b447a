// Package schemas defines the inputs and outputs of archflow: candidates, labels,
// predictions and dead letters, the graphs behind them, the search spaces that name their
// operations, and the Arrow records in which they move between stages (records.go).
//
// Raw message bytes arrive; typed columns, or a Rejection with the fault, its place and
// its cure, leave. Memory belongs to the garbage collector: a view is valid as long as it
// is held. The package imports no other of this module.
package schemas
