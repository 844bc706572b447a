// Package pipeline puts the parts together: sources that read Kafka, the stages
// between, the sinks at the end, the trainer beside them, and the process around
// it all. topology.go is the whole way of a message and the file to read first.
//
// A Config arrives; predictions on a topic, rows in tables and models in a store
// leave. The goroutines that live as long as a session, the channels between them
// and the timers are of this package: flow.go runs stages and sinks, source.go
// reads partitions, loop.go joins candidates with labels and trains between them,
// process.go begins a session for every assignment of the consumer group and
// another after a fault that passes. Elsewhere a call may do parts of its work side
// by side, and has ended all of them when it returns.
package pipeline
