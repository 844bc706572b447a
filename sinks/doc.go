// Package sinks makes predictions, labels and dead letters durable: as Delta
// tables of Parquet files in a folder or an object store (bucket.go, delta.go,
// table.go) and as messages on Kafka topics.
//
// Batches of the last stage arrive and belong to the sink until they are committed. Each
// sink stores its positions in the same atomic step as its output and drops rows below
// them. That is the whole of archflow's exactly-once delivery.
package sinks
