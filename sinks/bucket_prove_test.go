package sinks

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStoreThatIgnoresConditions: a store that overwrites on create is refused with the
// cure, and so is one that answers 501 to the condition, which is not retried for ever; a
// folder and an object store that refuses are proven, and nothing stays of the proof.
func TestStoreThatIgnoresConditions(t *testing.T) {
	store, b := openIll(t)
	if err := ProveCreate(t.Context(), b); err != nil {
		t.Errorf("a store that refuses: %v", err)
	}
	store.deaf = true
	err := ProveCreate(t.Context(), b)
	if !errors.Is(err, ErrUnconditional) || !strings.Contains(err.Error(), "s3://ill") || !strings.Contains(err.Error(), "another store") {
		t.Errorf("a store that ignores the condition: %v", err)
	}
	store.deaf = false
	store.status = http.StatusNotImplemented
	store.left.Store(1 << 40)
	err = ProveCreate(t.Context(), b)
	if !errors.Is(err, ErrUnconditional) || Recoverable(err) {
		t.Errorf("a store that answers 501: recoverable %v, %v", Recoverable(err), err)
	}
	store.left.Store(0)
	if len(store.objects) > 0 {
		t.Errorf("left behind: %d objects", len(store.objects))
	}
	dir := t.TempDir()
	if err := ProveCreate(t.Context(), openTest(t, dir)); err != nil {
		t.Errorf("a folder: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "archflow-probe*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFolderMovedAway: storing in a folder that was moved away while it was in use is
// refused, also when another has taken its place, and accepted again when it is back.
func TestFolderMovedAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	b := openTest(t, dir)
	if err := b.Write(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	moved := func(when string) {
		t.Helper()
		if err := b.Create(t.Context(), "b", nil); err == nil || !strings.Contains(err.Error(), "moved away") || Recoverable(err) {
			t.Errorf("%s: %v", when, err)
		}
	}
	moved("moved away")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	moved("another in its place")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "b", nil); err != nil {
		t.Errorf("back again: %v", err)
	}
}

// TestStoreSpeaksToTheLog: the client of an object store logs to our log in its form, and
// not beside it.
func TestStoreSpeaksToTheLog(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	defer slog.SetDefault(before)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Checksum-Type", "COMPOSITE")
		w.Header().Set("X-Amz-Checksum-Crc32", "DUoRhQ==-3") // of parts, which the client cannot check
		_, _ = w.Write([]byte("data"))
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "user")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "password")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	b, err := OpenBucket(t.Context(), "s3://ill?region=us-east-1&use_path_style=true&endpoint="+server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Read(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `"msg":"object store: `) {
		t.Errorf("the log has %q", log.String())
	}
}
