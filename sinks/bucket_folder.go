package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// temporary is the folder in the root where files are written and synced
// before they get their name, out of the sight of readers.
const temporary = ".tmp"

// folder is a Bucket on a file system. os.Root keeps every access inside, also
// past symbolic links.
type folder struct {
	root *os.Root
	path string

	made   sync.Map              // folders that exist durably
	broken atomic.Pointer[error] // the first failed fsync
	fsync  func(*os.File) error  // (*os.File).Sync
}

func openFolder(name string) (Bucket, error) { return OpenFolder(name, (*os.File).Sync) }

// OpenFolder is OpenBucket for a folder of this machine, with another fsync than
// (*os.File).Sync: tests that lose unsynced data pass one.
func OpenFolder(name string, fsync func(*os.File) error) (Bucket, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	b := &folder{path: name, fsync: fsync}
	if err := b.makeRoot(name); err != nil {
		return nil, fmt.Errorf("bucket %s: %w; make the folder or name another", name, err)
	}
	if err := b.open(); err != nil {
		return nil, err
	}
	if err := errors.Join(b.makeFolder(temporary), b.clean()); err != nil {
		_ = b.root.Close()
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return b, nil
}

// openFolderThere opens a folder that is there already, and makes none before
// something is stored.
func openFolderThere(name string) (Bucket, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	b := &folder{path: name, fsync: (*os.File).Sync}
	return b, b.open()
}

func (b *folder) open() error {
	root, err := os.OpenRoot(b.path)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.path, err)
	}
	b.root = root
	return nil
}

// makeRoot makes the bucket's own folder and those above it, durably: a crash that
// removes a folder removes its synced files too. An existing name is synced as well,
// where that is possible, because its maker may have died before it could.
func (b *folder) makeRoot(name string) error {
	err := os.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := b.makeRoot(filepath.Dir(name)); err != nil {
			return err
		}
		err = os.Mkdir(name, 0o755)
	}
	there := errors.Is(err, fs.ErrExist)
	if err != nil && !there {
		return err
	}
	parent, err := os.Open(filepath.Dir(name))
	if err != nil && there {
		return nil //nolint:nilerr // a folder above ours that we may not read
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if there {
		_ = b.fsync(parent) // not ours to insist on
		return nil
	}
	return b.sync(parent)
}

// clean removes half-written files of processes that died. A day keeps it away from those
// that live.
func (b *folder) clean() error {
	entries, err := fs.ReadDir(b.root.FS(), temporary)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = b.root.Remove(path.Join(temporary, e.Name())) // another process may be cleaning too
		}
	}
	return nil
}

func (b *folder) URL() string { return "file://" + filepath.ToSlash(b.path) }

func (b *folder) Close() error { return b.root.Close() }

func (b *folder) Read(ctx context.Context, key string) ([]byte, error) {
	if err := cmp.Or(checkKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	return b.root.ReadFile(filepath.FromSlash(key))
}

func (b *folder) Stat(ctx context.Context, key string) (Object, error) {
	if err := cmp.Or(checkKey(key), ctx.Err()); err != nil {
		return Object{}, err
	}
	info, err := b.root.Stat(filepath.FromSlash(key))
	if err != nil {
		return Object{}, err
	}
	if !info.Mode().IsRegular() {
		return Object{}, &fs.PathError{Op: "stat", Path: key, Err: fs.ErrNotExist}
	}
	return Object{key, info.Size(), info.ModTime()}, nil
}

func (b *folder) Delete(ctx context.Context, key string) error {
	if err := cmp.Or(checkKey(key), ctx.Err()); err != nil {
		return err
	}
	err := b.root.Remove(filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *folder) Write(ctx context.Context, key string, data []byte) error {
	return b.store(ctx, key, data, b.root.Rename)
}

// Create relies on link(2), which fails when the name is taken and gives the
// name to a file that is already whole.
func (b *folder) Create(ctx context.Context, key string, data []byte) error {
	return b.store(ctx, key, data, b.root.Link)
}

// store writes and syncs a file under a temporary name, renames it, and syncs the folder,
// which makes the name durable.
func (b *folder) store(ctx context.Context, key string, data []byte, name func(from, to string) error) error {
	if err := cmp.Or(checkKey(key), ctx.Err()); err != nil {
		return err
	}
	if err := b.broken.Load(); err != nil {
		return *err
	}
	if err := b.inPlace(); err != nil {
		return err
	}
	if err := errors.Join(b.makeFolder(temporary), b.makeFolder(path.Dir(key))); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	draft := filepath.Join(temporary, uuid.NewString())
	err := b.writeSynced(draft, data)
	if err == nil {
		err = name(draft, filepath.FromSlash(key))
	}
	if err == nil {
		err = b.syncFolder(path.Dir(key))
	}
	if e := b.root.Remove(draft); e != nil && !errors.Is(e, fs.ErrNotExist) && err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("store %s in %s: %w", key, b.path, err)
	}
	return nil
}

// inPlace fails when the bucket's folder is no longer where it was opened: nobody would
// find files in a folder that was moved away.
func (b *folder) inPlace() error {
	open, err := b.root.Stat(".")
	if err != nil {
		return err
	}
	there, err := os.Stat(b.path)
	if err == nil && os.SameFile(open, there) {
		return nil
	}
	why := "another folder is in its place"
	if err != nil {
		why = err.Error() // as text: to begin again does not help
	}
	return fmt.Errorf("the folder %s has been moved away or removed while it was in use (%s); put it back, or start again to go on with what is there", b.path, why)
}

func (b *folder) writeSynced(name string, data []byte) error {
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = b.sync(f)
	}
	return errors.Join(err, f.Close())
}

func (b *folder) syncFolder(name string) error {
	f, err := b.root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	return errors.Join(b.sync(f), f.Close())
}

// sync ends the bucket when fsync fails: the kernel may have dropped the pages and will
// report success the next time, so that only a new process, which reads the files back,
// knows the durable state.
func (b *folder) sync(f *os.File) error {
	err := b.fsync(f)
	if err == nil {
		return nil
	}
	// The reason becomes text, so that no caller retries in this process.
	err = fmt.Errorf("fsync in %s failed, so that what was written may be lost: %s; check the disk and start again", b.path, err.Error())
	b.broken.CompareAndSwap(nil, &err)
	return err
}

// makeFolder makes a folder and those above it, durably. A folder that was there and has
// been removed since is not made again: its files are gone, and storing beside the loss
// would hide it.
func (b *folder) makeFolder(name string) error {
	if name == "." {
		return nil
	}
	if _, ok := b.made.Load(name); ok {
		return nil
	}
	if err := b.makeFolder(path.Dir(name)); err != nil {
		return err
	}
	if err := b.root.Mkdir(filepath.FromSlash(name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.syncFolder(path.Dir(name)); err != nil {
		return err
	}
	b.made.Store(name, true)
	return nil
}

func (b *folder) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		b.walk(ctx, "", prefix, after, yield)
	}
}

// walk yields the objects under the folder dir, "" or ending in a slash, and
// says whether to go on.
func (b *folder) walk(ctx context.Context, dir, prefix, after string, yield func(Object, error) bool) bool {
	entries, err := fs.ReadDir(b.root.FS(), path.Clean("./"+dir))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err = cmp.Or(err, ctx.Err()); err != nil {
		yield(Object{}, err)
		return false
	}
	// Objects in a folder sort as if the folder's name ended in a slash.
	key := func(e fs.DirEntry) string {
		if e.IsDir() {
			return dir + e.Name() + "/"
		}
		return dir + e.Name()
	}
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return cmp.Compare(key(x), key(y)) })
	for _, e := range entries {
		k := key(e)
		switch {
		case k == temporary+"/":
		case e.IsDir():
			inside := strings.HasPrefix(k, prefix) || strings.HasPrefix(prefix, k)
			passed := k <= after && !strings.HasPrefix(after, k)
			if inside && !passed && !b.walk(ctx, k, prefix, after, yield) {
				return false
			}
		case strings.HasPrefix(k, prefix) && k > after:
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed while we were listing
			}
			if err != nil {
				yield(Object{}, err)
				return false
			}
			if info.Mode().IsRegular() && !yield(Object{k, info.Size(), info.ModTime()}, nil) {
				return false
			}
		}
	}
	return true
}
