// Package mutation makes candidates of a space out of the published ones: it exchanges
// operations, attributes and hyperparameters for observed ones, numbers within the
// observed range, and adds and removes edges and nodes of graphs of own spaces within
// the observed sizes.
package mutation
