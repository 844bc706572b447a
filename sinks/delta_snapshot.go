package sinks

import (
	"maps"
	"slices"
	"time"
)

// deltaSnapshot is the state of a Delta table after the commit of its version.
type deltaSnapshot struct {
	version  int64 // -1 before the first commit
	protocol deltaProtocol
	metaData metaData
	files    map[string]*addFile    // by filePath
	removed  map[string]*removeFile // by filePath; kept until readers of old versions are gone; without those that were young
	txns     map[string]deltaTxn
}

func newSnapshot() *deltaSnapshot {
	return &deltaSnapshot{version: -1, files: map[string]*addFile{}, removed: map[string]*removeFile{}, txns: map[string]deltaTxn{}}
}

// apply brings s from the version before to the given one.
func (s *deltaSnapshot) apply(version int64, actions []deltaAction) {
	s.version = version
	for _, a := range actions {
		switch {
		case a.Txn != nil:
			s.txns[a.Txn.AppID] = *a.Txn
		case a.Add != nil:
			path := filePath(a.Add.Path)
			s.files[path] = a.Add
			delete(s.removed, path)
		case a.Remove != nil:
			path := filePath(a.Remove.Path)
			if add := s.files[path]; add == nil || !s.young(add, a.Remove) {
				s.removed[path] = a.Remove
			}
			delete(s.files, path)
		case a.MetaData != nil:
			s.metaData = *a.MetaData
		case a.Protocol != nil:
			s.protocol = *a.Protocol
		}
	}
}

// young reports that a file was removed so soon after it was written that its own age
// keeps it from being deleted for about as long as its removal would. Merging removes
// thousands of such files a day, and checkpoints carry none of them: one carries at most
// the files that outlived an eighth of the retention.
func (s *deltaSnapshot) young(add *addFile, remove *removeFile) bool {
	return remove.DeletionTimestamp-add.ModificationTime < s.youth().Milliseconds()
}

// youth is how old a file may be at its removal to be young. A retention shorter
// than that of files which no entry names is kept to by the entries.
func (s *deltaSnapshot) youth() time.Duration {
	keep := s.metaData.duration(fileRetention, retention)
	if keep < retention {
		return 0
	}
	return keep / 8
}

// forget lets go of the removals before the given time, in milliseconds since
// 1970.
func (s *deltaSnapshot) forget(before int64) {
	maps.DeleteFunc(s.removed, func(_ string, r *removeFile) bool { return r.DeletionTimestamp < before })
}

// actions returns the actions that lead from an empty table to s.
func (s *deltaSnapshot) actions() []deltaAction {
	out := []deltaAction{{Protocol: &s.protocol}, {MetaData: &s.metaData}}
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		t := s.txns[id]
		out = append(out, deltaAction{Txn: &t})
	}
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		add := *s.files[path]
		add.DataChange = false
		out = append(out, deltaAction{Add: &add})
	}
	for _, path := range slices.Sorted(maps.Keys(s.removed)) {
		out = append(out, deltaAction{Remove: s.removed[path]})
	}
	return out
}
