//go:build unix

package sinks_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestFolderSurvivesACrash: a stored object survives a crash of the machine, which loses
// everything that was not synced, the bucket's own folder included; and a disk that is
// never synced keeps nothing.
func TestFolderSurvivesACrash(t *testing.T) {
	for _, synced := range []bool{true, false} {
		disk := sinktest.NewDisk(t)
		defer disk.Close()
		fsync := disk.Sync
		if !synced {
			fsync = func(*os.File) error { return nil }
		}
		open := func() sinks.Bucket {
			b, err := sinks.OpenFolder(filepath.Join(disk.Path(), "made/by/us"), fsync)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		b := open()
		for i, key := range []string{"a/b/c", "d"} {
			if err := b.Create(t.Context(), key, []byte("first")); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				continue
			}
			if err := b.Write(t.Context(), key, []byte("second")); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		disk.Crash()
		b = open()
		for key, want := range map[string]string{"a/b/c": "first", "d": "second"} {
			got, err := b.Read(t.Context(), key)
			if synced && (err != nil || string(got) != want) {
				t.Errorf("%s is %q after a crash, %v; want %q", key, got, err, want)
			}
			if !synced && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is %q, %v on a disk that was never synced", key, got, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
