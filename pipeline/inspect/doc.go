// Package inspect looks at what a pipeline needs and has left: Examine checks broker,
// topics, disk, tables and store for a run, and Explain collects all that topics and
// tables know of one candidate. Neither changes anything.
package inspect
