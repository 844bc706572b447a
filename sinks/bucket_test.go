package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testBucket is the contract of every kind of bucket.
func testBucket(t *testing.T, open func(t *testing.T) Bucket) {
	ctx := t.Context()
	t.Run("objects", func(t *testing.T) {
		b := open(t)
		if _, err := b.Read(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read of nothing: %v", err)
		}
		if _, err := b.Stat(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of nothing: %v", err)
		}
		if err := b.Delete(ctx, "a/b"); err != nil {
			t.Errorf("delete of nothing: %v", err)
		}
		for _, text := range []string{"first", "", "another"} {
			if err := b.Write(ctx, "a/b", []byte(text)); err != nil {
				t.Fatal(err)
			}
			got, err := b.Read(ctx, "a/b")
			if err != nil || string(got) != text {
				t.Errorf("read %q, %v; wrote %q", got, err, text)
			}
			o, err := b.Stat(ctx, "a/b")
			if err != nil || o.Size != int64(len(text)) || o.Modified.IsZero() {
				t.Errorf("stat %+v, %v; wrote %q", o, err, text)
			}
		}
		if err := b.Create(ctx, "a/b", nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create of an existing object: %v", err)
		}
		if err := b.Delete(ctx, "a/b"); err != nil {
			t.Fatal(err)
		}
		if err := b.Create(ctx, "a/b", []byte("new")); err != nil {
			t.Errorf("create: %v", err)
		}
	})
	t.Run("list", func(t *testing.T) {
		b := open(t)
		keys := []string{"t/_delta_log/1.json", "t/_delta_log/2.json", "t/a-b", "t/a/1", "t/a/2", "t/a0", "u", "t2/x"}
		for _, k := range keys {
			if err := b.Write(ctx, k, []byte(k)); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(keys)
		for _, prefix := range []string{"", "t", "t/", "t/a", "t/a/", "t/_delta_log/", "x"} {
			for _, after := range append([]string{"", "t/a.", "t/_delta_log/1"}, keys...) {
				want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, prefix) || k <= after })
				var got []string
				for o, err := range b.List(ctx, prefix, after) {
					if err != nil {
						t.Fatal(err)
					}
					if o.Size != int64(len(o.Key)) {
						t.Errorf("%s has %d bytes", o.Key, o.Size)
					}
					got = append(got, o.Key)
				}
				if !slices.Equal(got, want) {
					t.Errorf("list %q after %q: %q, want %q", prefix, after, got, want)
				}
			}
		}
		for range b.List(ctx, "", "") {
			break // stopping early is allowed
		}
	})
	t.Run("one of many creates wins", func(t *testing.T) {
		b := open(t)
		for round := range 10 {
			var won atomic.Int32
			var wait sync.WaitGroup
			key := fmt.Sprintf("log/%d", round)
			for i := range 8 {
				wait.Go(func() {
					err := b.Create(ctx, key, []byte{byte(i)})
					switch {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, fs.ErrExist):
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d creates of one key succeeded", won.Load())
			}
		}
	})
	t.Run("keys stay inside", func(t *testing.T) {
		b := open(t)
		for _, key := range []string{"", "/", "/etc/x", "..", "../x", "a/../../x", "a//b", "a/", "./a", ".tmp/x", "a\\b", "a\x00b", "a\nb", "a\xffb", strings.Repeat("a", 251), strings.Repeat("a/", 600) + "a"} {
			if err := b.Write(ctx, key, nil); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("write of %.40q: %v", key, err)
			}
			if err := b.Create(ctx, key, nil); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("create of %.40q: %v", key, err)
			}
			if _, err := b.Read(ctx, key); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("read of %.40q: %v", key, err)
			}
			if _, err := b.Stat(ctx, key); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("stat of %.40q: %v", key, err)
			}
			if err := b.Delete(ctx, key); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("delete of %.40q: %v", key, err)
			}
		}
	})
}

// openTest opens a bucket for the length of a test.
func openTest(t testing.TB, location string) Bucket {
	t.Helper()
	b, err := OpenBucket(context.Background(), location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestFolder(t *testing.T) {
	testBucket(t, func(t *testing.T) Bucket { return openTest(t, t.TempDir()) })
}

func TestFolderURL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space", "deep")
	b := openTest(t, "file://"+strings.ReplaceAll(dir, " ", "%20"))
	if err := b.Write(t.Context(), "x/y", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x", "y")); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, temporary)); len(left) > 0 {
		t.Errorf("%d drafts are left over", len(left))
	}
	for _, bad := range []string{"", "ftp://host/x", "s3://", "file://%zz"} {
		if _, err := OpenBucket(t.Context(), bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
}

func TestFolderKeepsToItself(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	b := openTest(t, dir)
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(t.Context(), "link/x", []byte("1")); err == nil {
		t.Error("a symbolic link led out of the bucket")
	}
	if _, err := os.Stat(filepath.Join(outside, "x")); err == nil {
		t.Error("a file was written outside")
	}
}

// A folder that vanishes under a running writer is an error and not a new,
// empty folder.
func TestFolderRemoved(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir)
	if err := b.Write(t.Context(), "t/x", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "t")); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "t/y", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("create in a removed folder: %v", err)
	}
}

// After a failed fsync nothing is stored any more, however often it is tried:
// the next fsync would succeed without the pages that were lost.
func TestFolderFailedSync(t *testing.T) {
	for n := 1; n <= 3; n++ { // the new folder's parent, the file, the folder
		b := openTest(t, t.TempDir()).(*folder)
		calls := 0
		b.fsync = func(f *os.File) error {
			if calls++; calls == n {
				return errors.New("input/output error")
			}
			return f.Sync()
		}
		for range 3 {
			if err := b.Create(t.Context(), "t/x", []byte("1")); err == nil || !strings.Contains(err.Error(), "input/output error") {
				t.Errorf("fsync %d failed: %v", n, err)
			}
		}
		if calls != n {
			t.Errorf("fsync was called %d times and failed at %d", calls, n)
		}
	}
}
