package sinks

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"testing"
	"time"
)

// S3Server is for the tests of tables, which live outside the package.
var S3Server = s3Server

// NewMemory returns an empty bucket in memory.
func NewMemory() Bucket { return &memory{objects: map[string][]byte{}} }

// Compact merges the compactable files, without a claim.
func (t *LabelsTable) Compact(ctx context.Context) error { return t.log.compact(ctx) }

// Foreign changes the table labels as another program may: it merges files that pick
// chooses, deletes removed files at once, describes the table, or writes a checkpoint.
func Foreign(ctx context.Context, b Bucket, what string, pick func(n int) int) error {
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "foreign"})
	if err != nil {
		return err
	}
	l := s.log
	switch what {
	case "merge":
		folders := map[string][]*addFile{}
		for _, name := range slices.Sorted(maps.Keys(l.state.files)) {
			folders[path.Dir(name)] = append(folders[path.Dir(name)], l.state.files[name])
		}
		for _, folder := range slices.Sorted(maps.Keys(folders)) {
			files := folders[folder]
			if n := 2 + pick(5); n < len(files) {
				at := pick(len(files) - n)
				files = files[at : at+n]
			}
			if err := l.merge(ctx, files); err != nil && !errors.Is(err, errOvertaken) {
				return err
			}
		}
	case "vacuum":
		removed, err := l.removals(ctx)
		if err != nil {
			return err
		}
		for _, name := range removed {
			if l.state.files[name] == nil {
				if err := b.Delete(ctx, l.key(name)); err != nil {
					return err
				}
			}
		}
	case "describe":
		changed := l.state.metaData
		changed.Description = new(string)
		return l.commit(ctx, "SET", func(*deltaSnapshot) ([]deltaAction, error) { return []deltaAction{{MetaData: &changed}}, nil })
	case "checkpoint":
		l.due = true
		return l.checkpoint(ctx)
	}
	return nil
}

// removals returns the files that the commits of the log remove.
func (l *deltaLog) removals(ctx context.Context) (files []string, err error) {
	for version := range l.state.version + 1 {
		actions, err := l.read(ctx, version)
		if err != nil {
			return nil, err
		}
		for _, a := range actions {
			if a.Remove != nil {
				files = append(files, filePath(a.Remove.Path))
			}
		}
	}
	return files, nil
}

// Nameless counts the files of a table whose columns have no names.
func Nameless(t testing.TB, b Bucket, table string) (n int) {
	t.Helper()
	files, err := TableFiles(t.Context(), b, table)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := b.Read(t.Context(), table+"/"+f)
		if err != nil {
			t.Fatal(err)
		}
		if errors.Is(checkFile(body), errNameless) {
			n++
		}
	}
	return n
}

// SetProperties raises the protocol of a table and sets its properties, as
// another program does.
func SetProperties(ctx context.Context, b Bucket, table string, reader, writer int32, properties map[string]string, features ...string) error {
	l := &deltaLog{bucket: b, table: table, now: time.Now, claims: map[string]int64{}, apart: map[string]bool{}, conflict: func(string) {}, notice: func(string) {}}
	if err := l.load(ctx); err != nil {
		return err
	}
	meta := l.state.metaData
	meta.Configuration = maps.Clone(meta.Configuration)
	maps.Copy(meta.Configuration, properties)
	protocol := deltaProtocol{MinReaderVersion: reader, MinWriterVersion: writer}
	if writer == 7 {
		protocol.WriterFeatures = features
	}
	if reader == 3 {
		protocol.ReaderFeatures = features
	}
	return l.commit(ctx, "SET TBLPROPERTIES", func(*deltaSnapshot) ([]deltaAction, error) {
		return []deltaAction{{Protocol: &protocol}, {MetaData: &meta}}, nil
	})
}
