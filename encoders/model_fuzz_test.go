package encoders

import (
	"bytes"
	"encoding/json"
	"testing"

	"archflow/encoders/safetensors"
)

// FuzzReadModel: a model file with a right checksum is refused or answers.
func FuzzReadModel(f *testing.F) {
	var file bytes.Buffer
	if err := testModel(f, 2).Write(&file); err != nil {
		f.Fatal(err)
	}
	metadata, tensors, err := safetensors.Read(&file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(metadata["model"]))
	// Of one member, so that a mutation has less to keep whole.
	var doc modelDocument
	if err := json.Unmarshal([]byte(metadata["model"]), &doc); err != nil {
		f.Fatal(err)
	}
	doc.Members = doc.Members[:1]
	doc.Tasks = doc.Tasks[:1]
	doc.Tasks[0].Heads = doc.Tasks[0].Heads[:1]
	one, err := json.Marshal(doc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	g := randomGraphs(5, 5, 1)
	f.Fuzz(func(t *testing.T, document []byte) {
		var file bytes.Buffer
		if err := safetensors.Write(&file, map[string]string{"kind": modelKind, "model": string(document)}, tensors); err != nil {
			t.Fatal(err)
		}
		m, err := ReadModel(&file)
		if err != nil {
			return
		}
		if got := m.Predict(NewWorkspace(1), g, allRows(5)); len(got.Score) != len(m.Tasks) {
			t.Fatalf("scores of %d tasks, want %d", len(got.Score), len(m.Tasks))
		}
	})
}
