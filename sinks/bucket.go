package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Bucket holds whole objects by key: a folder or an object store. Keys are
// paths with slashes and never leave the bucket. All methods may be called by
// several goroutines; an object that a call has stored survives a crash right
// after the call.
type Bucket interface {
	// Read returns an object; fs.ErrNotExist when there is none.
	Read(ctx context.Context, key string) ([]byte, error)

	// Write stores an object whole, in place of the one before it.
	Write(ctx context.Context, key string, data []byte) error

	// Create stores an object only if there is none; fs.ErrExist when there is.
	// After any other error it may or may not be there.
	Create(ctx context.Context, key string, data []byte) error

	// Stat describes an object; fs.ErrNotExist when there is none.
	Stat(ctx context.Context, key string) (Object, error)

	// List yields the objects whose key begins with prefix and comes after
	// the key after, in order of their bytes.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]

	// Delete removes an object; that there is none is no error.
	Delete(ctx context.Context, key string) error

	// URL is where the bucket is, for people and for readers of its tables.
	URL() string

	Close() error
}

// Object describes the object under a key.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// OpenBucket opens the folder or object store of a URL: a path or file://,
// made when absent, or s3://NAME/FOLDER with the parameters region, endpoint and
// use_path_style, the credentials being the ones that AWS tools find.
func OpenBucket(ctx context.Context, location string) (Bucket, error) {
	return openBucket(ctx, location, openFolder)
}

// OpenThere is OpenBucket for an existing bucket. It creates nothing: a folder that is
// absent is fs.ErrNotExist.
func OpenThere(ctx context.Context, location string) (Bucket, error) {
	return openBucket(ctx, location, openFolderThere)
}

func openBucket(ctx context.Context, location string, openFolder func(name string) (Bucket, error)) (Bucket, error) {
	scheme, rest, found := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, errors.New("bucket: no location; give a folder or an s3:// URL")
	case !found:
		return openFolder(location)
	case scheme == "file":
		path, err := url.PathUnescape(rest)
		if err != nil {
			return nil, fmt.Errorf("bucket %s: %w; escape the path as in a URL or give it without file://", location, err)
		}
		return openFolder(filepath.FromSlash(path))
	case scheme == "s3":
		return openS3(ctx, location)
	}
	return nil, fmt.Errorf("bucket %s: no such kind of store; use a folder, file:// or s3://", location)
}

// checkKey refuses keys that a folder would take for something else than a
// file inside it.
func checkKey(key string) error {
	bad := func(why string) error {
		return fmt.Errorf("object name %.200q: %s: %w", key, why, fs.ErrInvalid)
	}
	if len(key) > 1000 {
		return bad("longer than 1000 bytes")
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return bad("has an empty part, . or ..")
		case len(part) > 250:
			return bad("has a part longer than 250 bytes")
		case part == temporary:
			return bad("is where files are written first")
		}
	}
	for _, r := range key {
		if r < ' ' || r == '\\' || r == 0x7f || r == '\ufffd' {
			return bad("has a control character, a backslash or broken UTF-8")
		}
	}
	return nil
}
