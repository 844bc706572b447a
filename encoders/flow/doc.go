// Package flow computes flow surrogates: fixed-length vectors that describe how
// information would flow forward and gradients backward through an architecture whose
// operations are random and fixed.
//
// Graphs arrive as schemas.Graphs, one vector a graph leaves. A surrogate depends on the
// configuration and on the graph alone, to the bit: not on the batch, on the numbers of
// symbols, or on earlier graphs.
//
// Attributes of operations and hyperparameters are part of the operations' rows
// (attributes.go); without any a surrogate is the published one.
//
// Source: Kim, Hwang, Shin, "Learning to Flow from Generative Pretext Tasks for
// Neural Architecture Encoding", NeurIPS 2025.
package flow
