// Package encoders holds the networks that predict how good an architecture
// is: the encoder with its pretexts and heads, their training, and the
// immutable Model that is served.
//
// Graphs, flow surrogates, zero-cost proxies and labels arrive as plain
// slices; weights, scores and calibrated predictions leave. A Trunk is
// pre-trained (trunk.go), forked and fine-tuned into Members (finetune.go,
// distil.go), which a Model serves (model.go) and calibration.go turns into
// values with intervals. Files of tensors are read and written in tensors.go,
// modelfile.go and trunk_state.go.
//
// An encoder (encoder.go) is a file: resgated.go, gin.go, flowerformer.go,
// digcn.go, mlpencoder.go (the multilayer perceptron) and transformer.go, with a layer's
// forward and backward beside each other. They share affine.go, mlp.go,
// norms.go, attention.go and flowpass.go. The first two compute a state once for
// all nodes of a batch that see the same (refinement.go); the others see a batch as
// directed graphs, generation by generation (dag.go), with the paths between
// nodes (relations.go) or an order that no numbering changes (canonical.go).
// Pretexts beside flow and proxies have a file each: graphcl.go, arch2vec.go,
// gmae.go.
//
// Everything is deterministic: the same seed and input give the same bits on
// any number of cores, because a batch is cut into the same shards everywhere
// and gradients are added in their order. Calls may fork goroutines but join
// them before they return; one that helped with a step of training looks out for
// the next for a millisecond and then ends. Matrices are row-major float32; products go through
// gonum's blas32, which the package gives the kernels of encoders/kernels.
package encoders
