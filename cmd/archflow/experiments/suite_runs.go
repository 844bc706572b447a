package experiments

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"archflow/encoders/experiment"
	"archflow/internal/cli"
)

// suiteRuns are finished runs by the hash of their settings and split, and the file
// that keeps them, if there is one. A run is found again by any suite that asks for the same
// table, settings and split.
type suiteRuns struct {
	runs  map[string]experiment.Run
	added int // to those of the file
	file  *os.File
}

// suiteLine is a line of the file.
type suiteLine struct {
	Key string         `json:"key"`
	Run experiment.Run `json:"run"`
}

// runsOf identifies the runs of one configuration on one table, of a label that measures
// the network when of is "".
func runsOf(table, label, goal, of string, proxies []string, c experiment.Config) string {
	parts := []any{table, label, goal, proxies, c}
	if of != "" { // older keys have nothing in its place
		parts = append(parts, of)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // a configuration is numbers and words
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func splitKey(key string, s experiment.Split) string {
	return key + "/" + fingerprint([]experiment.Split{s})
}

// openSuiteRuns reads and opens the file of finished runs; name may be empty. A
// torn last line is dropped.
func openSuiteRuns(name string) (*suiteRuns, error) {
	r := &suiteRuns{runs: map[string]experiment.Run{}}
	if name == "" {
		return r, nil
	}
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := 0
	for {
		line, _, found := bytes.Cut(text[whole:], []byte("\n"))
		if !found {
			break
		}
		var l suiteLine
		if err := json.Unmarshal(line, &l); err != nil || l.Key == "" {
			return nil, cli.Refuse(fmt.Errorf("resume: %s does not hold runs of a suite; name another file", name))
		}
		r.runs[l.Key] = l.Run
		whole += len(line) + 1
	}
	if r.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	_, seekErr := r.file.Seek(int64(whole), 0)
	if err := errors.Join(r.file.Truncate(int64(whole)), seekErr); err != nil {
		r.Close()
		return nil, fmt.Errorf("resume: %w", err)
	}
	return r, nil
}

func (r *suiteRuns) find(key string, s experiment.Split) (experiment.Run, bool) {
	run, ok := r.runs[splitKey(key, s)]
	return run, ok
}

// add keeps a run.
func (r *suiteRuns) add(key string, s experiment.Split, run experiment.Run) error {
	at := splitKey(key, s)
	r.runs[at] = run
	r.added++
	return appendLine(r.file, suiteLine{at, run})
}

// Close closes the file.
func (r *suiteRuns) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
