package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// disk remembers the parts of a folder that fsync has made durable, like a file system
// that loses everything else with the power: the bytes of a file at its last fsync, and
// the names of a folder at its.
type disk struct {
	files   map[uint64][]byte            // by inode
	folders map[string]map[string]uint64 // path -> name -> inode
}

func inode(t *testing.T, info fs.FileInfo) uint64 {
	t.Helper()
	number := inodeOf(info)
	if number == 0 {
		t.Skip("left out: this system does not number files")
	}
	return number
}

// sync replaces (*os.File).Sync.
func (d *disk) sync(t *testing.T, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		d.files[inode(t, info)], err = os.ReadFile(f.Name())
		return err
	}
	entries, err := os.ReadDir(f.Name())
	if err != nil {
		return err
	}
	names := map[string]uint64{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			names[e.Name()] = inode(t, info)
		}
	}
	d.folders[filepath.Clean(f.Name())] = names
	return nil
}

// restore copies the durable state to another folder.
func (d *disk) restore(t *testing.T, from, to string) {
	t.Helper()
	for name, number := range d.folders[from] {
		path := filepath.Join(from, name)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if err := os.Mkdir(filepath.Join(to, name), 0o755); err != nil {
				t.Fatal(err)
			}
			d.restore(t, path, filepath.Join(to, name))
			continue
		}
		if err := os.WriteFile(filepath.Join(to, name), d.files[number], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPowerLoss: a stored object is there, whole, after a sudden loss of power; and
// without its fsyncs it is not, so that this test can fail.
func TestPowerLoss(t *testing.T) {
	for _, without := range []string{"", "files", "folders"} {
		t.Run("without fsync of "+without, func(t *testing.T) {
			dir := t.TempDir()
			b := openTest(t, dir).(*folder)
			d := &disk{files: map[uint64][]byte{}, folders: map[string]map[string]uint64{}}
			b.fsync = func(f *os.File) error {
				info, err := f.Stat()
				if err != nil || without == "files" && !info.IsDir() || without == "folders" && info.IsDir() {
					return err
				}
				return d.sync(t, f)
			}
			// Files are read through paths, which os.Root's handles have too.
			if err := b.makeFolder("table"); err != nil {
				t.Fatal(err)
			}
			lost := 0
			for n := range 20 {
				key, body := fmt.Sprintf("table/day=%d/%d", n%3, n), bytes.Repeat([]byte{byte(n)}, 100+n)
				store := b.Create
				if n%2 == 1 {
					store = b.Write
				}
				if err := store(t.Context(), key, body); err != nil {
					t.Fatal(err)
				}
				after := t.TempDir()
				d.restore(t, dir, after)
				got, err := os.ReadFile(filepath.Join(after, filepath.FromSlash(key)))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if !bytes.Equal(got, body) {
					lost++
				}
			}
			if (lost > 0) != (without != "") {
				t.Errorf("%d of 20 objects are lost", lost)
			}
			t.Logf("%d of 20 objects are lost", lost)
		})
	}
}
