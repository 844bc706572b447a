// Package inspect reads the surroundings and results of a pipeline: Examine checks
// broker, topics, disk, tables and store for a run, and Explain collects all that topics
// and tables have of one candidate. Neither changes anything.
package inspect
