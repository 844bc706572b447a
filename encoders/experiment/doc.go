// Package experiment measures predictors by the paper's protocol: pre-train on every
// architecture of a benchmark table, learn from few labels, and rank the rest.
//
// A Table and a Config arrive, New prepares the parts that all runs share (table.go,
// items.go), Draw or a caller's own lists split items into training and test (draw.go),
// each Run leaves its Figures, which Summarise puts together (figures.go). The two
// predictors are in published.go and best.go.
//
// Nothing is read or written. A run depends on the table, the configuration and
// its split alone, to the bit: not on the runs before it or on the number of
// cores.
//
// Source: Kim, Hwang, Shin, "Learning to Flow from Generative Pretext Tasks for
// Neural Architecture Encoding", NeurIPS 2025.
package experiment
