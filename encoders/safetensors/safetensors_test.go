package safetensors

import (
	"bytes"
	"testing"
)

func TestWriteRefuses(t *testing.T) {
	for name, tensors := range map[string][]Tensor{
		"shape":  {{"a", []int{3}, []float32{1}}},
		"type":   {{"a", []int{1}, []int{1}}},
		"double": {{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{1}}},
	} {
		if err := Write(&bytes.Buffer{}, nil, tensors); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}
