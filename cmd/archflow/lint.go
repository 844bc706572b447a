package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"archflow/cmd/archflow/console"
	"archflow/internal/finite"
	"archflow/internal/input"
	"archflow/internal/progress"
	"archflow/schemas"
)

type lintCommand struct {
	Files []string `arg:"" name:"file" help:"Configurations (.yaml, .yml), candidates and labels (JSON Lines, .gz and .zst too; - for standard input)."`
}

// finding is something wrong in a file.
type finding struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Class string `json:"class"`
	Cause string `json:"cause"` // and the cure
}

// maxFindings bounds what lint prints of one file.
const maxFindings = 100

// Run checks every file and fails when one of them would not be taken.
func (l lintCommand) Run(_ context.Context, std console.Streams, c *commands) error {
	found, lines, refused := 0, 0, 0 // a configuration counts as one line, whatever is wrong with it
	report := func(f finding) error {
		found++
		if found > maxFindings {
			return nil
		}
		if c.JSON {
			return finite.Encode(std.Out, f)
		}
		_, err := fmt.Fprintf(std.Out, "%s:%d: %s: %s\n", f.File, f.Line, f.Class, f.Cause)
		return err
	}
	for _, name := range l.Files {
		var err error
		before := found
		switch filepath.Ext(name) {
		case ".yaml", ".yml":
			lines++
			err = lintSettings(name, report)
			refused += min(found-before, 1)
		default:
			err = lintMessages(name, std, c, &lines, report)
			refused += found - before
		}
		if err != nil {
			return err
		}
	}
	if found > maxFindings {
		fmt.Fprintf(std.Err, "%s more\n", progress.Thousands(int64(found-maxFindings)))
	}
	if found > 0 {
		return fmt.Errorf("%s of %s would be refused", progress.Thousands(int64(refused)), progress.Thousands(int64(lines)))
	}
	fmt.Fprintf(std.Err, "%s checked, nothing wrong\n", progress.Thousands(int64(lines)))
	return nil
}

// lintSettings checks a configuration as a start with it would.
func lintSettings(name string, report func(finding) error) error {
	if _, err := os.Stat(name); err != nil {
		return err
	}
	problem := checkSettings(name)
	if problem == nil {
		return nil
	}
	for text := range strings.SplitSeq(problem.Error(), "\n") {
		f := finding{File: name, Line: 1, Class: "configuration", Cause: text}
		if rest, ok := strings.CutPrefix(text, name+":"); ok {
			if number, cause, ok := strings.Cut(rest, ": "); ok {
				if _, err := fmt.Sscan(number, &f.Line); err == nil {
					f.Cause = cause
				}
			}
		}
		if err := report(f); err != nil {
			return err
		}
	}
	return nil
}

// checkSettings parses a command line that names the file, which applies its
// values and their rules without running anything.
func checkSettings(name string) error {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		return err
	}
	s, err := loadSettings(parser, name)
	if err != nil {
		return err
	}
	parsed, err := parser.Parse([]string{"version"}, s.lookup)
	if err != nil {
		return err
	}
	return s.locate(parsed, errors.Join(c.Validate(), oneEncoder(&c)))
}

// oneEncoder refuses what only a suite of experiments takes.
func oneEncoder(c *commands) error {
	if len(c.Encoder) < 2 {
		return nil
	}
	return fmt.Errorf("encoder: %s are %d; a run learns with one", strings.Join(c.Encoder, ", "), len(c.Encoder))
}

// lintMessages decodes every line as the pipeline would: as a label where it has
// a task, else as a candidate. Warnings about lines that are not refused go to
// standard error.
func lintMessages(name string, std console.Streams, c *commands, lines *int, report func(finding) error) error {
	decoder := schemas.NewDecoder(c.Limits())
	var row schemas.Candidates
	var review schemas.Review
	err := input.EachLineOf(name, std.In, c.MaxMessageBytes, func(file string, number int, line []byte) error {
		*lines++
		if isLabel(line) {
			label, refused := decoder.Label(line)
			if refused != nil {
				return report(finding{file, number, refused.Class, refused.Reason})
			}
			review.Label(&label)
			return nil
		}
		row = schemas.Candidates{}
		if refused := decoder.Candidate(&row, line); refused != nil {
			return report(finding{file, number, refused.Class, refused.Reason})
		}
		review.Candidate(&row, 0)
		return nil
	})
	notices := decoder.Notices()
	for _, s := range review.Spaces {
		notices = append(notices, s.Notices()...)
	}
	for _, notice := range notices {
		fmt.Fprintf(std.Err, "archflow: %s: %s\n", name, notice)
	}
	return err
}

// isLabel says whether a line is a label rather than a candidate.
func isLabel(line []byte) bool {
	if !bytes.Contains(line, []byte(`"task"`)) {
		return false
	}
	var message struct {
		Task json.RawMessage `json:"task"`
	}
	return json.Unmarshal(finite.AsNull(line), &message) == nil && message.Task != nil
}
