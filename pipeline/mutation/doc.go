// Package mutation makes candidates of a space out of the published ones: it exchanges
// operations, attributes and hyperparameters for observed ones, numbers within the
// observed range, adds and removes edges and nodes of graphs of own spaces within
// the observed sizes, and changes what operations of cells of nb301 read.
package mutation
