// Package teacher ranks the networks of one search space from few labels, with
// heads in closed form, and knows nothing of the space but its graphs.
//
// Distinct networks and their zero-cost proxies arrive (Data); one score for each network
// leaves (Result), with out-of-fold scores of the labelled ones. Files in the order in
// which a fit uses them: vocabulary.go finds the operations and their cells; identity.go
// an operation that does nothing; cell.go, subsets.go, links.go, depths.go, walks.go and
// flow.go turn graphs into numbers, under the assumptions in hypotheses.go; traits.go and
// attributes.go do so for attributes and hyperparameters, proxies.go and impute.go for
// proxies; columns.go and features.go put blocks of numbers together, once for any number
// of fits. geometry.go and weights.go choose among the blocks and weigh them by evidence,
// relevance.go drops irrelevant attributes; warp.go stretches the labels, gp.go is the
// Gaussian process, many.go adapts it to thousands of labels; trees.go is gradient
// boosting; fit.go blends them. suspects.go finds labels that are mistakes, failures.go
// learns from failed trainings, and related.go and follow.go from labels of related
// tasks.
//
// Everything is computed on the calling goroutine and is a function of the
// arguments alone: not of the numbering of nodes or symbols, nor of the
// machine's cores.
package teacher
