// Package foreign makes candidates of the files that other programs write: ONNX
// models, DARTS genotypes, NASLib's and NAS-Bench-101's forms, NNI's exports,
// networkx's node-link JSON and CSV.
//
// A file goes in, candidates as JSON objects come out, and with them what of the
// file they do not say. Each format is a file of this package; Read tells them
// apart.
package foreign
