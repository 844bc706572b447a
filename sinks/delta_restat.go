package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// restatFiles are given full statistics in one commit at most.
const restatFiles = 32

// poorlyStated returns the files of the table whose statistics lack a column
// that the table has statistics of: those of before the column came, and of
// versions that kept statistics of some columns only.
func (l *deltaLog) poorlyStated() ([]string, error) {
	columns, err := scalars(l.state.metaData)
	if err != nil {
		return nil, err
	}
	var poor []string
	for _, file := range slices.Sorted(maps.Keys(l.state.files)) {
		var s fileStats
		if json.Unmarshal([]byte(l.state.files[file].Stats), &s) != nil {
			poor = append(poor, file)
			continue
		}
		for _, c := range columns {
			if _, ok := s.NullCount[c.name]; !ok {
				poor = append(poor, file)
				break
			}
		}
	}
	return poor, nil
}

// restat gives the files that have been found without full statistics theirs,
// some in a commit. The files stay as they are; their entries come anew.
func (l *deltaLog) restat(ctx context.Context) error {
	columns, err := scalars(l.state.metaData)
	if err != nil {
		return err
	}
	some := l.poor[:min(restatFiles, len(l.poor))]
	l.poor = l.poor[len(some):]
	var stated []*addFile
	for _, file := range some {
		have := l.state.files[file]
		if have == nil {
			continue
		}
		body, err := l.bucket.Read(ctx, l.key(file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("statistics: %w", err)
		}
		footer, _, err := readFooter(body)
		if err != nil {
			return fmt.Errorf("statistics of %s: %w", file, err)
		}
		add := *have
		add.Stats, add.DataChange = footerStats(footer, columns).text(), false
		stated = append(stated, &add)
	}
	if len(stated) == 0 {
		return nil
	}
	return l.commit(ctx, "COMPUTE STATS", func(s *deltaSnapshot) ([]deltaAction, error) {
		var actions []deltaAction
		for _, add := range stated {
			if s.files[filePath(add.Path)] != nil {
				actions = append(actions, deltaAction{Add: add})
			}
		}
		if len(actions) == 0 {
			return nil, nil
		}
		return append(actions, deltaAction{Txn: l.claim(s, claimCompaction, 0)}), nil
	})
}
