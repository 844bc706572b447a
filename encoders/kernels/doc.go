// Package kernels computes the inner loops of the networks in single precision:
// matrix products and the passes over vectors between them. Slices arrive and
// are written in place; nothing is kept and, in steady state, nothing allocated.
//
// Assembly for AVX-512 and for AVX2 with FMA is written by the generator in
// internal/gen and chosen when the program starts; run `go generate
// ./encoders/kernels` after changing the generator. On arm64 the matrix product
// alone has NEON, written by hand because the generator knows amd64 only. All
// else is the plain Go beside it.
//
// # Guarantees
//
// Matrix products: an element of C is a fixed sequence of operations that depends on its
// row of A, its column of B, their length k, alpha and beta. It does not depend on the
// number of rows or columns, on the position of the row or column, or on the number of
// cores. A network that multiplies its batch by its weights therefore gives an
// architecture the same bits in every batch. AVX-512 and AVX2 agree to the bit with one
// another (one chain of fused multiply-adds for every block of k); plain Go rounds
// products, and so differs in the last bits. The same holds for Affine and AffineWeights,
// which skip the zeros that a ReLU leaves.
package kernels

//go:generate go run ./internal/gen -out kernels_amd64.s -stubs kernels_amd64.go -pkg kernels
