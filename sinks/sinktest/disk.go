//go:build unix

package sinktest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Disk is a folder of a disk that keeps only synced data: of a file the content at its
// last fsync, of a folder the names at its. Crash restores that state.
type Disk struct {
	t    testing.TB
	path string

	mu      sync.Mutex
	files   map[uint64][]byte            // by inode
	folders map[uint64]map[string]uint64 // inode -> names, and their inodes
	open    map[uint64]int               // descriptors that keep an inode from being used again
	kinds   map[uint64]fs.FileMode
}

// NewDisk returns an empty disk, which the caller closes.
func NewDisk(t testing.TB) *Disk {
	d := &Disk{t: t, path: t.TempDir()}
	d.begin()
	return d
}

// Path is where the disk is now; Crash moves it.
func (d *Disk) Path() string { return d.path }

func (d *Disk) begin() {
	d.files, d.folders = map[uint64][]byte{}, map[uint64]map[string]uint64{}
	d.open, d.kinds = map[uint64]int{}, map[uint64]fs.FileMode{}
	err := filepath.WalkDir(d.path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return d.Sync(f)
	})
	if err != nil {
		d.t.Fatal("disk: ", err)
	}
}

// Close lets go of the disk.
func (d *Disk) Close() {
	for _, descriptor := range d.open {
		_ = syscall.Close(descriptor)
	}
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// Sync is the fsync of the disk.
func (d *Disk) Sync(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, held := d.open[inode(info)]; !held {
		descriptor, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			return err
		}
		d.open[inode(info)] = descriptor
	}
	if !info.IsDir() {
		content, err := os.ReadFile(f.Name()) // f may be open for writing alone
		d.files[inode(info)] = content
		return err
	}
	entries, err := f.ReadDir(-1)
	if err != nil {
		return err
	}
	names := map[string]uint64{}
	for _, e := range entries {
		inside, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		names[e.Name()] = inode(inside)
		d.kinds[inode(inside)] = inside.Mode()
	}
	d.folders[inode(info)] = names
	return nil
}

// Crash brings the disk back to its synced state, in another place. Everything that has
// it open must have ended.
func (d *Disk) Crash() {
	d.t.Helper()
	info, err := os.Stat(d.path)
	if err != nil {
		d.t.Fatal("disk: ", err)
	}
	left := filepath.Join(d.t.TempDir(), "disk")
	if err := os.Rename(d.path, left); err != nil {
		d.t.Fatal("disk: ", err)
	}
	d.path = left
	if err := d.restore(left, inode(info)); err != nil {
		d.t.Fatal("disk: ", err)
	}
	d.Close()
	d.begin()
}

// restore removes from a folder what was not synced and writes what differs: most
// files are as they were synced, and making them anew takes long.
func (d *Disk) restore(path string, folder uint64) error {
	there, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	names := d.folders[folder]
	for _, e := range there {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if inside, synced := names[e.Name()]; !synced || inside != inode(info) {
			if err := os.RemoveAll(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	for name, inside := range names {
		at := filepath.Join(path, name)
		if d.kinds[inside].IsDir() {
			if err := os.MkdirAll(at, 0o700); err != nil {
				return err
			}
			if err := d.restore(at, inside); err != nil {
				return err
			}
			continue
		}
		if have, err := os.ReadFile(at); err == nil && bytes.Equal(have, d.files[inside]) {
			continue
		}
		if err := os.WriteFile(at, d.files[inside], 0o600); err != nil {
			return err
		}
	}
	return nil
}
