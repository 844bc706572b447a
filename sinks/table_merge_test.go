package sinks

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// fileOf returns a Parquet file of rows as the tables write it.
func fileOf[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var body bytes.Buffer
	w := parquet.NewGenericWriter[T](&body, writerOptions()...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

// TestCompactionSortsByNetwork: the rows of small files come out side by side by
// their network, each once, and take far less room where networks repeat.
func TestCompactionSortsByNetwork(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	surrogates := make([][]float32, 50)
	for i := range surrogates {
		for range 30 {
			surrogates[i] = append(surrogates[i], random.Float32())
		}
	}
	var m merger
	parts, offset := 0, int64(0)
	for range 16 {
		rows := make([]predictionRow, 40)
		for i := range rows {
			n := random.IntN(len(surrogates))
			at := offset
			rows[i] = predictionRow{Network: fmt.Sprintf("%032x", 1<<40+n), Surrogate: surrogates[n], Offset: &at}
			offset++
		}
		body := fileOf(t, rows)
		parts += len(body)
		if taken, err := m.add(body); err != nil || !taken {
			t.Fatal(taken, err)
		}
	}
	body, err := m.close()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[predictionRow](bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(rows, func(a, b predictionRow) int { return bytes.Compare([]byte(a.Network), []byte(b.Network)) }) {
		t.Error("the rows are not in the order of their networks")
	}
	seen := map[int64]bool{}
	for _, r := range rows {
		var n int
		if _, err := fmt.Sscanf(r.Network, "%x", &n); err != nil || !slices.Equal(r.Surrogate, surrogates[n-1<<40]) {
			t.Fatalf("offset %d has the surrogate of another network: %v", *r.Offset, err)
		}
		seen[*r.Offset] = true
	}
	if len(rows) != int(offset) || len(seen) != len(rows) {
		t.Errorf("%d rows, %d offsets, want %d", len(rows), len(seen), offset)
	}
	if 3*len(body) > parts {
		t.Errorf("%d bytes of %d in the parts", len(body), parts)
	}
}

// TestMergeIsBoundedInBytes: rows that are long are held and written in several row groups,
// so that a merge of many takes no more memory than one of few.
func TestMergeIsBoundedInBytes(t *testing.T) {
	var m merger
	id := string(bytes.Repeat([]byte("long"), 1000))
	const files, each = 40, 300 // of 1.2 MB
	for file := range files {
		rows := make([]predictionRow, each)
		for i := range rows {
			own := fmt.Sprintf(`"%s%d"`, id, file*each+i)
			rows[i] = predictionRow{Network: "n", CandidateID: &own}
		}
		body := fileOf(t, rows)
		if taken, err := m.add(body); err != nil || !taken {
			t.Fatal(taken, err)
		}
		if m.bytes > sortedBytes {
			t.Fatalf("%d bytes are held", m.bytes)
		}
	}
	body, err := m.close()
	if err != nil {
		t.Fatal(err)
	}
	merged, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(merged.RowGroups()); merged.NumRows() != files*each || n < 2 {
		t.Errorf("%d rows in %d row groups", merged.NumRows(), n)
	}
}

// TestPageHeadersAreShort: the headers of pages are without bounds, four copies of a value
// that may have megabytes: readers on Arrow refuse a header of more than 16 MiB.
func TestPageHeadersAreShort(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	const size = 1 << 20
	var rows []deadLetterRow
	for range 2 {
		value := make([]byte, size)
		if _, err := random.Read(value); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, deadLetterRow{Value: &value})
	}
	body := fileOf(t, rows)
	if len(body) > 9*size/2 { // the values, and two bounds in the footer
		t.Errorf("a file of %d bytes for two values of %d", len(body), size)
	}
}

// TestMergesFitTheMemoryLimit: a merge holds its files and the file that it writes, so
// under a small limit on memory only small files are merged.
func TestMergesFitTheMemoryLimit(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(170 << 20)) // of a container of 200 MiB
	const size = 1 << 20
	files := map[string]*addFile{}
	for i := range 60 {
		name := fmt.Sprintf("date=2026-01-01/%02d.parquet", i)
		files[name] = &addFile{Path: name, Size: size}
	}
	large := &addFile{Path: "date=2026-01-01/large.parquet", Size: 5 << 20}
	files[large.Path] = large
	l := &deltaLog{now: time.Now}
	groups := l.compactable(files, nil)
	if len(groups) == 0 {
		t.Fatal("nothing is merged")
	}
	for _, group := range groups {
		if n := len(group) * size; n > 170<<20/20 || slices.Contains(group, large) {
			t.Errorf("%d files of %d bytes are merged, the large one among them: %v", len(group), n, slices.Contains(group, large))
		}
	}
}
