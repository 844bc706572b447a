// Package stages holds the transformations that candidates pass through, one a
// file, in the order in which data flows: decode, surrogate, predict, and, on
// the trainer's side, train.
//
// A batch of messages arrives; the same batch leaves with the rows of the next
// record schema (see schemas/records.go). Goroutines, channels and time belong
// to the pipeline.
package stages
