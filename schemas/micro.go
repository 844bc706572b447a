package schemas

// micro is the space of archflow's own benchmark: four to six operations
// between one input and one output. Its notation is nb101's with only the bits
// above the diagonal, row by row.
func micro() *Space {
	s := &Space{
		Name: "micro", K: 8, Std: 0.1, minNodes: 6, maxNodes: 8, oneEnd: true, cells: 1,
		Operations: []string{"input", "linear", "relu", "tanh", "square", "skip", "output"},
		Notation:   `"6|100001000100101|0123"`,
	}
	s.parse = matrixNotation(s, internAll(s.Operations[1:6]), true)
	return s.closed()
}
