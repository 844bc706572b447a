// Package learner learns to rank the architectures of one space from a stream:
// it keeps a replay buffer of distinct networks, never stops pre-training a
// trunk on it, and forks a challenger whenever a task's labels have grown.
//
// Candidates and labels arrive in an order; models leave, each better than the
// one before on labels that neither was trained on. Everything is decided by
// the order of the input and the seed: the same calls give the same bits on any
// number of cores. A Learner is used by one goroutine at a time. The trainer of
// the pipeline and the experiments use the same code.
package learner
