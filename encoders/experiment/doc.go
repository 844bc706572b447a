// Package experiment measures predictors by the paper's protocol: pre-train on
// every architecture of a benchmark table, learn from few labels, and rank what
// is left.
//
// A Table and a Config arrive, New prepares what all runs share (table.go,
// items.go), Draw or a caller's own lists say who trains and who is tested
// (draw.go), each Run leaves its Figures, which Summarise puts together
// (figures.go). The two predictors are in published.go and best.go.
//
// Nothing is read or written. A run depends on the table, the configuration and
// its split alone, to the bit: not on the runs before it or on the number of
// cores.
//
// Source: Kim, Hwang, Shin, "Learning to Flow from Generative Pretext Tasks for
// Neural Architecture Encoding", NeurIPS 2025.
package experiment
