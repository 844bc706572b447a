// Package teacher ranks the networks of one search space from few labels, with
// heads in closed form, and knows nothing of the space but its graphs.
//
// Distinct networks and their zero-cost proxies arrive (Data); one score for
// each network leaves (Result), with honest scores of the labelled ones. Files
// in the order in which a fit uses them: vocabulary.go finds what operations
// there are and in which cells; cell.go, subsets.go, walks.go and flow.go turn
// graphs into numbers; proxies.go does so for proxies; features.go puts blocks
// of numbers together, once for any number of fits; warp.go, gp.go and
// weights.go are the Gaussian process and what evidence chooses for it;
// trees.go is gradient boosting; fit.go blends them.
//
// Everything is computed on the calling goroutine and is a function of the
// arguments alone: not of the numbering of nodes or symbols, nor of the
// machine's cores.
package teacher
