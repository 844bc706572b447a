package schemas

// nb101 is NAS-Bench-101 (Ying et al. 2019): cells of at most seven nodes and
// nine edges. Its notation is the adjacency matrix and a digit an operation.
func nb101() *Space {
	s := &Space{
		Name: "nb101", K: 4, Std: 1, minNodes: 2, maxNodes: 7, maxEdges: 9, oneEnd: true, cells: 1,
		Operations: []string{"input", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3", "output"},
		Notation:   `"3|010001000|0"`,
	}
	s.parse = matrixNotation(s, internAll(s.Operations[1:4]), false)
	return s.closed()
}
