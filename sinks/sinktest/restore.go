package sinktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"archflow/sinks"
)

// Restore brings a table back to an older version by a commit, as the RESTORE of
// other programs does: files of later commits are removed, older ones come back,
// and positions stay. With destroy the files that are removed are deleted too, as
// VACUUM does. The log must have all of its commits. It returns how many files
// were removed.
func Restore(t testing.TB, b sinks.Bucket, table string, version int64, destroy bool) int {
	t.Helper()
	adds, live := map[string]json.RawMessage{}, map[string]bool{}
	then := map[string]bool{}
	next := int64(0)
	for ; ; next++ {
		body, err := b.Read(t.Context(), commitOf(table, next))
		if err != nil {
			break
		}
		for line := range bytes.Lines(body) {
			var a struct {
				Add    json.RawMessage
				Remove *struct{ Path string }
			}
			if err := json.Unmarshal(line, &a); err != nil {
				t.Fatal(err)
			}
			if a.Remove != nil {
				delete(live, a.Remove.Path)
			}
			var add struct{ Path string }
			if a.Add != nil {
				if err := json.Unmarshal(a.Add, &add); err != nil {
					t.Fatal(err)
				}
				live[add.Path], adds[add.Path] = true, a.Add
			}
		}
		if next == version {
			for path := range live {
				then[path] = true
			}
		}
	}
	commit := []byte(`{"commitInfo":{"timestamp":1767225600000,"operation":"RESTORE","operationParameters":{}}}` + "\n")
	removed := 0
	for path := range live {
		if !then[path] {
			removed++
			commit = fmt.Appendf(commit, `{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true}}`+"\n", path, 4_000_000_000_000)
		}
	}
	for path := range then {
		if !live[path] {
			commit = fmt.Appendf(commit, `{"add":%s}`+"\n", adds[path])
		}
	}
	if err := b.Create(t.Context(), commitOf(table, next), commit); err != nil {
		t.Fatal(err)
	}
	for path := range live {
		name, err := url.PathUnescape(path)
		if err == nil && destroy && !then[path] {
			err = b.Delete(t.Context(), table+"/"+name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return removed
}

func commitOf(table string, version int64) string {
	return fmt.Sprintf("%s/_delta_log/%020d.json", table, version)
}
