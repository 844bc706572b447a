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
	"archflow/internal/finite"
)

// resumeHead is the first line of a file of finished runs: their table, label and
// settings.
type resumeHead struct {
	Table   string            `json:"table"`  // a hash
	Splits  string            `json:"splits"` // a hash
	Label   string            `json:"label"`
	Goal    string            `json:"goal"`
	Of      string            `json:"of,omitempty"` // what the label measures; "" for the network
	Proxies []string          `json:"proxies"`      // as asked for
	Config  experiment.Config `json:"config"`
	// What people call the table, and how many labels train and validate in the first
	// split; files of before these were kept lack them.
	File     string `json:"file,omitempty"`
	Train    int    `json:"train,omitempty"`
	Validate int    `json:"validate,omitempty"`
}

// finishedRuns are runs in the order of their splits, and the file that keeps
// them, if one does.
type finishedRuns struct {
	runs []experiment.Run
	file *os.File
}

// openRuns opens the file of finished runs, which must be of the same
// experiment; name may be empty. A torn last line is dropped.
func openRuns(name string, head resumeHead) (*finishedRuns, error) {
	f := &finishedRuns{}
	if name == "" {
		return f, nil
	}
	first, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := 0 // bytes that are good
	for number := 0; ; number++ {
		line, _, found := bytes.Cut(text[whole:], []byte("\n"))
		if !found {
			break
		}
		if number == 0 {
			var old resumeHead
			if err := json.Unmarshal(line, &old); err != nil {
				return nil, cli.Refuse(fmt.Errorf("resume: %s does not hold runs of an experiment; name another file", name))
			}
			old.File, old.Train, old.Validate = head.File, head.Train, head.Validate // Table and Splits say it
			// As text, for a Config has fields beside those that are kept, which follow from them.
			kept, err := json.Marshal(old)
			if err != nil || !bytes.Equal(kept, first) {
				return nil, cli.Refuse(fmt.Errorf("resume: %s holds runs of %s; name another file, or give the same data and flags", name, difference(old, head)))
			}
		} else {
			var run experiment.Run
			if err := json.Unmarshal(line, &run); err != nil {
				return nil, fmt.Errorf("resume: %s:%d: not a run: %w", name, number+1, err)
			}
			f.runs = append(f.runs, run)
		}
		whole += len(line) + 1
	}
	if f.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	if whole == 0 {
		_, err = f.file.WriteAt(append(first, '\n'), 0)
		whole = len(first) + 1
	}
	_, seekErr := f.file.Seek(int64(whole), 0)
	if err := errors.Join(err, f.file.Truncate(int64(whole)), seekErr); err != nil {
		f.Close()
		return nil, fmt.Errorf("resume: %w", err)
	}
	return f, nil
}

// difference names what differs between two experiments.
func difference(a, b resumeHead) string {
	switch {
	case a.Table != b.Table:
		return "another table"
	case a.Splits != b.Splits:
		return "other splits"
	case a.Label != b.Label || a.Goal != b.Goal:
		return "label " + a.Label + ", goal " + a.Goal
	}
	return "other settings"
}

// add keeps a run.
func (f *finishedRuns) add(r experiment.Run) error {
	f.runs = append(f.runs, r)
	return appendLine(f.file, r)
}

// appendLine writes v as a line of the file of --resume, if there is one.
func appendLine(file *os.File, v any) error {
	if file == nil {
		return nil
	}
	line, err := finite.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

// Close closes the file.
func (f *finishedRuns) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// fingerprint is a hash of splits.
func fingerprint(splits []experiment.Split) string {
	h := sha256.New()
	fmt.Fprintf(h, "%v", splits)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
