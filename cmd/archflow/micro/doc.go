// Package micro is a search space that is small enough to be searched for real
// while somebody watches: cells of 4 to 6 operations in a network of 88
// to 1,648 weights, trained in milliseconds on points drawn from a seed.
//
// space.go defines the architectures, task.go draws the points, network.go
// is the network with forward and backward side by side, train.go trains it,
// proxies.go scores it untrained, search.go chooses the next trainings, and
// table.go reads the benchmark that ships beside it. perceptron.go and
// perceptron_table.go are a space of hyperparameters alone on the same task. The
// program in benchmark/ makes both files.
//
// Everything follows from seeds, and to the bit: products are rounded before
// they are added, so that no compiler fuses the two, and exp is our own, so
// that processors agree. The package imports no other of this module.
package micro
