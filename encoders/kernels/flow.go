package kernels

// FlowState turns the message m in state [width] into the state of a node of a
// flow surrogate, with every m_c first brought between -bound and bound:
//
//	state = alpha·m + max(row + Σ_j m_j · weights[j, :], 0)
//
// weights is [k, width], row and scratch are [width], width is a multiple of 8.
// With vectors products and sums are fused.
func FlowState(state, row, weights, scratch []float32, alpha, bound float32) {
	width := len(state)
	row, scratch = row[:width], scratch[:width]
	k := len(weights) / width
	if flowStateVectors(state, row, weights, scratch, alpha, bound) {
		return
	}
	copy(scratch, row)
	for c, m := range state {
		state[c] = max(-bound, min(bound, m))
	}
	for j, m := range state[:k] {
		for c, w := range weights[j*width:][:width] {
			scratch[c] += m * w
		}
	}
	for c, s := range scratch {
		state[c] = alpha*state[c] + max(s, 0)
	}
}
