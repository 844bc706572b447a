// Package mutation makes candidates of a space out of those that were published:
// operations, attributes and hyperparameters are exchanged for what was seen, numbers
// within the range that was seen, and graphs of own spaces lose and gain edges and
// nodes within the sizes that were seen.
package mutation
