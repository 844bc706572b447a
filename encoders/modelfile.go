package encoders

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"archflow/encoders/safetensors"
)

const modelKind = "archflow model 1"

// modelDocument is the metadata of a model file.
type modelDocument struct {
	Space   string           `json:"space"`
	Version int64            `json:"version"`
	Members []memberDocument `json:"members"`
	Tasks   []Task           `json:"tasks"`
}

type memberDocument struct {
	Shape      shape       `json:"shape"`
	Operations []string    `json:"operations"`
	Attributes []attribute `json:"attributes,omitempty"`
	Shift      []float64   `json:"shift"`
	Factor     []float64   `json:"factor"`
}

// Write writes the model as a safetensors file. Operations are stored by name.
func (m *Model) Write(w io.Writer) error {
	doc := modelDocument{Space: m.Space, Version: m.Version, Tasks: m.Tasks}
	var tensors []safetensors.Tensor
	for i, member := range m.Members {
		n := member.network
		doc.Members = append(doc.Members, memberDocument{n.shape, n.vocabulary.Names(), n.vocabulary.attributes, member.shift, member.factor})
		tensors = append(tensors, weightTensors(fmt.Sprintf("member.%d.", i), &n.layout, member.weights)...)
	}
	tensors = append(tensors, m.Cache.tensors()...)
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("model %s/%d: %w", m.Space, m.Version, err)
	}
	return safetensors.Write(w, map[string]string{"kind": modelKind, "model": string(text)}, tensors)
}

// ReadModel reads the output of Write and refuses everything else with the reason.
func ReadModel(r io.Reader) (*Model, error) {
	metadata, tensors, err := safetensors.Read(r)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if metadata["kind"] != modelKind {
		return nil, fmt.Errorf("model: a tensor file of kind %.40q, want %q", metadata["kind"], modelKind)
	}
	var doc modelDocument
	if err := json.Unmarshal([]byte(metadata["model"]), &doc); err != nil {
		return nil, fmt.Errorf("model metadata: %w", err)
	}
	var members []*Member
	for i, d := range doc.Members {
		n, weights, err := readNetwork(d.Shape, d.Operations, d.Attributes, fmt.Sprintf("member.%d.", i), tensors)
		if err != nil {
			return nil, fmt.Errorf("model %s/%d: member %d: %w", doc.Space, doc.Version, i, err)
		}
		if len(n.outputs) != 1 || len(d.Shift) != n.outputs[0].out || len(d.Factor) != len(d.Shift) {
			return nil, fmt.Errorf("model %s/%d: member %d: its head does not fit its scales", doc.Space, doc.Version, i)
		}
		m := rawMember(n, weights)
		m.shift, m.factor = d.Shift, d.Factor
		members = append(members, m)
	}
	m, err := NewModel(doc.Space, doc.Version, members, doc.Tasks)
	if err != nil {
		return nil, err
	}
	if m.Cache, err = readScoreCache(tensors, len(m.Tasks)); err != nil {
		return nil, fmt.Errorf("model %s/%d: %w", doc.Space, doc.Version, err)
	}
	return m, nil
}

// weightTensors returns views of the slots of a flat slice.
func weightTensors(prefix string, l *layout, flat []float32) []safetensors.Tensor {
	var tensors []safetensors.Tensor
	for _, s := range l.slots {
		tensors = append(tensors, safetensors.Tensor{Name: prefix + s.name, Shape: []int{s.rows, s.cols}, Data: s.in(flat)})
	}
	return tensors
}

// readNetwork rebuilds a network and its weights.
func readNetwork(s shape, operations []string, attributes []attribute, prefix string, tensors []safetensors.Tensor) (*network, []float32, error) {
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	v, err := withAttributes(operations, attributes)
	if err != nil {
		return nil, nil, err
	}
	n, err := newNetwork(s, v)
	if err != nil {
		return nil, nil, err
	}
	// The sizes are compared before the memory is taken.
	for _, s := range n.layout.slots {
		if _, err := findTensor[float32](tensors, prefix+s.name, s.rows*s.cols); err != nil {
			return nil, nil, err
		}
	}
	weights := make([]float32, n.layout.size)
	if err := readSlots(prefix, &n.layout, weights, tensors); err != nil {
		return nil, nil, err
	}
	return n, weights, nil
}

// readSlots fills a flat slice from tensors.
func readSlots(prefix string, l *layout, flat []float32, tensors []safetensors.Tensor) error {
	for _, s := range l.slots {
		data, err := findTensor[float32](tensors, prefix+s.name, s.rows*s.cols)
		if err != nil {
			return err
		}
		for _, x := range data {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fmt.Errorf("tensor %q holds %v", prefix+s.name, x)
			}
		}
		copy(s.in(flat), data)
	}
	return nil
}

// findTensor returns the data of a tensor of that type and length.
func findTensor[T float32 | float64 | int64 | byte](tensors []safetensors.Tensor, name string, length int) ([]T, error) {
	for _, t := range tensors {
		if t.Name != name {
			continue
		}
		data, ok := t.Data.([]T)
		if !ok || len(data) != length {
			return nil, fmt.Errorf("tensor %q has type %T and shape %v, want %d values of %T", name, t.Data, t.Shape, length, *new(T))
		}
		return data, nil
	}
	return nil, fmt.Errorf("tensor %q is missing", name)
}

// check bounds the sizes in a file.
func (s *shape) check() error {
	c := TrunkConfig{Encoder: s.Encoder, Width: s.Width, Layers: s.Layers, Dropout: s.Dropout}
	if err := c.Validate(); err != nil {
		return err
	}
	if s.Width < 1 || s.Layers < 1 || len(s.Outputs) > 16 {
		return fmt.Errorf("a network of width %d, %d layers and %d outputs", s.Width, s.Layers, len(s.Outputs))
	}
	for _, o := range s.Outputs {
		if o.Hidden < 1 || o.Out < 1 || o.Hidden > 1<<18 || o.Out > 1<<16 {
			return fmt.Errorf("output %.40q of %d hidden and %d columns is out of bounds", o.Name, o.Hidden, o.Out)
		}
	}
	return nil
}
