package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// sealed returns a tensor file with the checksum that it should have, which no
// mutation finds, or nil when the bytes do not go that far.
func sealed(data []byte) []byte {
	if len(data) < 8 {
		return nil
	}
	length := binary.LittleEndian.Uint64(data)
	if data = data[8:]; length > uint64(len(data)) {
		return nil
	}
	var raw map[string]json.RawMessage
	var metadata map[string]string
	if json.Unmarshal(data[:length], &raw) != nil || json.Unmarshal(raw["__metadata__"], &metadata) != nil || metadata == nil {
		return nil
	}
	data = data[length:]
	delete(raw, "__metadata__")
	delete(metadata, checksum)
	names, headers, err := parseHeaders(raw)
	if err != nil || len(names) > 0 && headers[names[len(names)-1]].Offsets[1] > len(data) {
		return nil
	}
	hash := newHash(metadata)
	for _, name := range names {
		h := headers[name]
		hash.tensor(name, h, data[h.Offsets[0]:h.Offsets[1]])
	}
	metadata[checksum] = hash.sum()
	if raw["__metadata__"], err = json.Marshal(metadata); err != nil {
		return nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return nil
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
}

// FuzzReadTensors: bytes are a tensor file or refused, and tensors that were read can be
// written and read again.
func FuzzReadTensors(f *testing.F) {
	var file bytes.Buffer
	if err := Write(&file, map[string]string{"kind": "k"}, []Tensor{
		{"a", []int{2, 1}, []float32{1, 2}}, {"b", []int{1}, []float64{3}}, {"c", []int{0}, []int64{}}, {"d", nil, []byte{7}},
	}); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add([]byte("\x5a\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{\"sha256\":\"\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}1234"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealed(data)} {
			metadata, tensors, err := Read(bytes.NewReader(data))
			if err != nil {
				continue
			}
			var again bytes.Buffer
			if err := Write(&again, metadata, tensors); err != nil {
				t.Fatalf("tensors that were read cannot be written: %v", err)
			}
			if _, _, err := Read(&again); err != nil {
				t.Fatalf("tensors that were written cannot be read: %v", err)
			}
		}
	})
}
