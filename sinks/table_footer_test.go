package sinks

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// TestFilesNameTheirColumns: every Parquet file of a table, the first of a
// writer or a later one, merged or a checkpoint, names its columns in the
// footer as its schema does.
func TestFilesNameTheirColumns(t *testing.T) {
	b := openTest(t, t.TempDir())
	s, err := NewLabelsTable(t.Context(), b, TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, checkpointEvery+1)
	checked := map[string]int{}
	for o, err := range b.List(t.Context(), "labels/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(o.Key, ".parquet") {
			continue
		}
		body, err := b.Read(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFile(body); err != nil {
			t.Errorf("%s: %v", o.Key, err)
		}
		kind := "data"
		if strings.Contains(o.Key, logFolder) {
			kind = "checkpoint"
		}
		checked[kind]++
	}
	if checked["data"] <= checkpointEvery || checked["checkpoint"] != 1 {
		t.Errorf("checked %v", checked)
	}
}

// TestFileWithoutNamesIsNotStored: the check before a file is stored notices the footer
// of a writer that was reset in parquet-go, and a reset writer gives the bytes of a new
// one once the footer is finished.
func TestFileWithoutNamesIsNotStored(t *testing.T) {
	var first, second bytes.Buffer
	w := parquet.NewGenericWriter[labelRow](&first, writerOptions()...)
	for i, body := range []*bytes.Buffer{&first, &second} {
		if i > 0 {
			w.Reset(body)
		}
		if _, err := w.Write(make([]labelRow, 3)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := storeFile(t.Context(), openTestLog(t, NewMemory(), time.Now), "s=a", nil, second.Bytes())
	if !errors.Is(err, errNameless) {
		t.Errorf("a file of nameless columns: %v", err)
	}
	var finished [2][]byte
	for i, body := range []*bytes.Buffer{&first, &second} {
		if finished[i], err = finishFile(body.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(finished[0], finished[1]) {
		t.Error("a writer that was reset writes other bytes than a new one")
	}
}
