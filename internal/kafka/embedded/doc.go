// Package embedded runs a Kafka-protocol broker inside the process, on a data
// folder that several processes may use: one runs the broker, the others connect
// to it, and one of them takes over when it goes (broker.go). The lock that decides
// who runs it lives as long as the broker (lock.go). The start
// cuts off a batch that a kill left half-written (repair.go).
package embedded
