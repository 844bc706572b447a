package sinks

import (
	"testing"
)

// FuzzDeltaEntry: an entry of a table's log, which other programs write too, is accepted
// or refused; an accepted one can be written and read again.
func FuzzDeltaEntry(f *testing.F) {
	for _, seed := range []string{
		`{"commitInfo":{"timestamp":1795425923558,"operation":"WRITE","operationParameters":{},"engineInfo":"x"}}`,
		`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`,
		`{"metaData":{"id":"a","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":["space"],"configuration":{},"createdTime":1}}`,
		`{"add":{"path":"space=s1/a.parquet","partitionValues":{"space":null},"size":2622,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":10}"}}`,
		`{"remove":{"path":"space=s1/a%20b.parquet","deletionTimestamp":1,"dataChange":false}}` + "\n" + `{"txn":{"appId":"a/b/0","version":6}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		actions, err := decodeActions(body)
		if err != nil {
			return
		}
		s := newSnapshot()
		s.apply(0, actions)
		_ = s.check()
		again, err := encodeActions(actions)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeActions(again); err != nil {
			t.Errorf("written as %q: %v", again, err)
		}
	})
}

// FuzzDeltaCheckpoint: a checkpoint of a table is taken or refused.
func FuzzDeltaCheckpoint(f *testing.F) {
	whole, err := encodeCheckpoint([]deltaAction{{Protocol: &deltaProtocol{MinReaderVersion: 1, MinWriterVersion: 2}}, {Txn: &deltaTxn{AppID: "a", Version: 3}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(_ *testing.T, body []byte) {
		actions, err := decodeCheckpoint(body)
		if err == nil {
			newSnapshot().apply(0, actions)
		}
	})
}
