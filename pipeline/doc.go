// Package pipeline puts the parts together: sources that read Kafka, the stages
// between, the sinks at the end, the trainer beside them, and the process around
// it all. topology.go is the whole way of a message and the file to read first.
//
// A Config arrives; predictions on a topic, rows in tables and models in a store
// leave. This package alone owns goroutines, channels and time: flow.go runs
// stages and sinks, source.go reads partitions, trainer.go joins candidates with
// labels, process.go begins a session for every assignment of the consumer group
// and another after a fault that passes.
package pipeline
