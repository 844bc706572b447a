// Package safetensors reads and writes files of named arrays, with a checksum.
package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Tensor is a named array of a safetensors file. Data is one of []float32,
// []float64, []int64 and []byte, as long as the product of Shape.
type Tensor struct {
	Name  string
	Shape []int
	Data  any
}

const (
	maxHeader  = 32 << 20 // bytes
	maxTensors = 2 << 30  // bytes
	checksum   = "sha256"
)

// ErrTorn is in the error of Read when a file is cut short or its content was changed.
var ErrTorn = errors.New("the file is torn or damaged: take the one before")

type tensorHeader struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// Write writes a safetensors file: metadata, to which it adds a
// checksum, and the tensors in their order. Source:
// huggingface.co/docs/safetensors.
func Write(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	delete(metadata, checksum)
	header := make(map[string]any, len(tensors)+1)
	var data []byte
	hash := newHash(metadata)
	for _, t := range tensors {
		h := tensorHeader{Shape: t.Shape, Offsets: [2]int{len(data)}}
		if h.Shape == nil {
			h.Shape = []int{}
		}
		var length int
		switch v := t.Data.(type) {
		case []float32:
			h.DType, length = "F32", len(v)
			for _, x := range v {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
			}
		case []float64:
			h.DType, length = "F64", len(v)
			for _, x := range v {
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
			}
		case []int64:
			h.DType, length = "I64", len(v)
			for _, x := range v {
				data = binary.LittleEndian.AppendUint64(data, uint64(x))
			}
		case []byte:
			h.DType, length = "U8", len(v)
			data = append(data, v...)
		default:
			return fmt.Errorf("tensor %q: data of type %T cannot be written", t.Name, t.Data)
		}
		h.Offsets[1] = len(data)
		if elements, ok := product(t.Shape); !ok || elements != length {
			return fmt.Errorf("tensor %q: %d values for the shape %v", t.Name, length, t.Shape)
		}
		if _, double := header[t.Name]; double || t.Name == "__metadata__" {
			return fmt.Errorf("tensor %q: the name is taken", t.Name)
		}
		header[t.Name] = h
		hash.tensor(t.Name, h, data[h.Offsets[0]:])
	}
	metadata[checksum] = hash.sum()
	header["__metadata__"] = metadata
	text, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("tensor file header: %w", err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader || len(data) > maxTensors {
		return fmt.Errorf("tensor file of %d bytes of header and %d of data: at most %d and %d can be read back", len(text), len(data), maxHeader, maxTensors)
	}
	for _, part := range [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("writing tensors: %w", err)
		}
	}
	return nil
}

// Read reads the output of Write, in the order of the data, and refuses everything else
// with the reason. It takes memory as bytes come in, not as the header promises.
func Read(r io.Reader) (metadata map[string]string, tensors []Tensor, err error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, nil, torn("tensor file without a length", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length < 2 || length > maxHeader {
		return nil, nil, fmt.Errorf("not a tensor file: a header of %d bytes", length)
	}
	text, err := readExactly(r, int(length))
	if err != nil {
		return nil, nil, torn("tensor file header", err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, nil, fmt.Errorf("not a tensor file: %w", err)
	}
	if m, ok := raw["__metadata__"]; ok {
		if err := json.Unmarshal(m, &metadata); err != nil {
			return nil, nil, fmt.Errorf("tensor file metadata: %w", err)
		}
		delete(raw, "__metadata__")
	}
	want, ok := metadata[checksum]
	if !ok {
		return nil, nil, errors.New("a foreign tensor file: its metadata has no sha256")
	}
	delete(metadata, checksum)
	names, headers, err := parseHeaders(raw)
	if err != nil {
		return nil, nil, err
	}
	total := 0
	if len(names) > 0 {
		total = headers[names[len(names)-1]].Offsets[1]
	}
	data, err := readExactly(r, total)
	if err != nil {
		return nil, nil, torn("tensor file data", err)
	}
	if n, err := r.Read(prefix[:1]); n > 0 || err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, torn("tensor file with more than its header says", err)
	}
	hash := newHash(metadata)
	for _, name := range names {
		h := headers[name]
		part := data[h.Offsets[0]:h.Offsets[1]]
		hash.tensor(name, h, part)
		tensors = append(tensors, Tensor{name, h.Shape, decode(h.DType, part)})
	}
	if hash.sum() != want {
		return nil, nil, torn("tensor file with a wrong checksum", nil)
	}
	return metadata, tensors, nil
}

func torn(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: %w", what, ErrTorn)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrTorn, err)
}

func readExactly(r io.Reader, n int) ([]byte, error) {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b.Bytes(), nil
}

var elementSize = map[string]int{"F32": 4, "F64": 8, "I64": 8, "U8": 1}

// parseHeaders returns the tensors in the order of their data, which must lie
// side by side from 0 on.
func parseHeaders(raw map[string]json.RawMessage) (names []string, headers map[string]tensorHeader, err error) {
	headers = make(map[string]tensorHeader, len(raw))
	for name, text := range raw {
		var h tensorHeader
		if err := json.Unmarshal(text, &h); err != nil {
			return nil, nil, fmt.Errorf("tensor %.60q: %w", name, err)
		}
		size, ok := elementSize[h.DType]
		if !ok {
			return nil, nil, fmt.Errorf("tensor %.60q: type %.20q: only F32, F64, I64 and U8 are read", name, h.DType)
		}
		elements, ok := product(h.Shape)
		if from, to := h.Offsets[0], h.Offsets[1]; !ok || from < 0 || to < from || to > maxTensors || to-from != elements*size {
			return nil, nil, fmt.Errorf("tensor %.60q: bytes %d to %d do not hold the shape %v", name, from, to, h.Shape)
		}
		headers[name] = h
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := headers[a].Offsets, headers[b].Offsets
		if x != y {
			return slices.Compare(x[:], y[:])
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	at := 0
	for _, name := range names {
		if headers[name].Offsets[0] != at {
			return nil, nil, fmt.Errorf("tensor %.60q: starts at byte %d, want %d", name, headers[name].Offsets[0], at)
		}
		at = headers[name].Offsets[1]
	}
	return names, headers, nil
}

// product returns the number of elements of a shape, unless it is negative or beyond the
// limit of a file.
func product(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > maxTensors || n*d > maxTensors {
			return 0, false
		}
		n *= d
	}
	return n, true
}

func decode(dtype string, b []byte) any {
	switch dtype {
	case "F32":
		v := make([]float32, len(b)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return v
	case "F64":
		v := make([]float64, len(b)/8)
		for i := range v {
			v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
		return v
	case "I64":
		v := make([]int64, len(b)/8)
		for i := range v {
			v[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
		return v
	}
	return b
}

// tensorHash covers everything a file says, however its JSON is spelt.
type tensorHash struct {
	write func(part []byte)
	sum   func() string
}

func newHash(metadata map[string]string) tensorHash {
	h := sha256.New()
	write := func(part []byte) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		write([]byte(key))
		write([]byte(metadata[key]))
	}
	return tensorHash{write, func() string { return hex.EncodeToString(h.Sum(nil)) }}
}

func (h tensorHash) tensor(name string, header tensorHeader, data []byte) {
	h.write([]byte(name))
	h.write([]byte(header.DType))
	for _, d := range header.Shape {
		h.write(binary.LittleEndian.AppendUint64(nil, uint64(d)))
	}
	h.write(data)
}
