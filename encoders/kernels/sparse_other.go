//go:build !amd64

package kernels

// Elsewhere zeros are multiplied like other numbers.
func hasSparse() bool { return false }

func (m *sparseMemory) list(int, int, []float32, int) {}

func (m *sparseMemory) copyPanel(int, []float32, int) {}

func (m *sparseMemory) multiply(int, []float32, int, bool, []float32) {}
