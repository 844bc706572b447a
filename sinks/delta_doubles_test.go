package sinks

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestDoubledRows: rows that another program's two compactions at once have
// doubled are noticed while the table is written, with the cure, are counted by
// Maintain, and go when it is asked to.
func TestDoubledRows(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	var log bytes.Buffer
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 12)
	// Two programs merge the same files, and the second does not look.
	other, second := openOther(t, b), openOther(t, b)
	var files []*addFile
	for name, f := range other.state.files {
		if strings.HasPrefix(name, "space=s%2F0/") {
			files = append(files, f)
		}
	}
	merged, old, _, err := second.gather(ctx, files)
	if err != nil {
		t.Fatal(err)
	}
	body, err := merged.close()
	if err != nil {
		t.Fatal(err)
	}
	add, err := storeFile(ctx, second, path.Dir(filePath(old[0].Path)), old[0].PartitionValues, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.merge(ctx, files); err != nil {
		t.Fatal(err)
	}
	actions := []deltaAction{{Add: add}}
	for _, f := range old {
		actions = append(actions, deltaAction{Remove: &removeFile{Path: f.Path, DeletionTimestamp: other.now().UnixMilli(), Size: f.Size}})
	}
	if err := second.commit(ctx, "OPTIMIZE", constantly(actions...)); err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 12, 13)
	if !strings.Contains(log.String(), "archflow maintain --rewrite") {
		t.Errorf("the log says %q", log.String())
	}
	done, err := Maintain(ctx, b, "labels", Upkeep{Check: true})
	if err != nil || done.Doubled != 6 {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err = Maintain(ctx, b, "labels", Upkeep{Rewrite: true}); err != nil || done.Doubled != 6 {
		t.Errorf("%+v, %v", done, err)
	}
	wantLabels(t, b, 13)
	if done, err = Maintain(ctx, b, "labels", Upkeep{Check: true}); err != nil || done.Doubled != 0 {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}

// TestMaintainMissesFile: a file that the table lists and that is gone is named with the
// cure; one that another writer merges into others meanwhile is no loss.
func TestMaintainMissesFile(t *testing.T) {
	for name, upkeep := range map[string]Upkeep{"check": {Check: true}, "rewrite": {Rewrite: true}} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			b := openTest(t, t.TempDir())
			s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g"})
			if err != nil {
				t.Fatal(err)
			}
			appendLabels(t, s, 0, 4)
			other := openOther(t, b)
			merged := slices.Sorted(maps.Keys(other.state.files))[:2] // of one space
			racing := &meanwhile{Bucket: b, key: "labels/" + merged[0], do: func() {
				if err := other.merge(ctx, []*addFile{other.state.files[merged[0]], other.state.files[merged[1]]}); err != nil {
					t.Error(err)
				}
			}}
			if _, err := Maintain(ctx, racing, "labels", upkeep); err != nil || racing.do != nil {
				t.Errorf("merged meanwhile: %v", err)
			}
			files, err := TableFiles(ctx, b, "labels")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Delete(ctx, "labels/"+files[0]); err != nil {
				t.Fatal(err)
			}
			_, err = Maintain(ctx, b, "labels", upkeep)
			if err == nil || !strings.Contains(err.Error(), files[0]) || !strings.Contains(err.Error(), "archflow maintain --refill") {
				t.Errorf("a file that is gone: %v", err)
			}
		})
	}
}

// meanwhile does something, once, before an object is read, which is gone then.
type meanwhile struct {
	Bucket
	key string
	do  func()
}

func (m *meanwhile) Read(ctx context.Context, key string) ([]byte, error) {
	if key != m.key || m.do == nil {
		return m.Bucket.Read(ctx, key)
	}
	m.do()
	m.do = nil
	return nil, fs.ErrNotExist
}
