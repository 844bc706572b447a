package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/schemas"
)

// screening looks at the lines that are published as the pipeline will. A file
// that begins with nothing that it could use is not published at all; what it will
// refuse later on is counted.
type screening struct {
	refuse func(line []byte) *schemas.Rejection
	task   string // names a task of a benchmark row in a cure, "" for candidates and where it is chosen

	held         []message // before the first line that can be used
	begun        bool      // there was one
	seen, wrong  int
	first, cause string // place and reason of the first wrong line
	review       schemas.Review
	blind        bool // this process knows too many names to judge more
}

// screenedLines is how many lines decide that a file is no use.
const screenedLines = 20

func screenCandidates(c *commands) *screening {
	decoder := schemas.NewDecoder(c.Limits())
	return &screening{refuse: func(line []byte) *schemas.Rejection {
		return decoder.Candidate(&schemas.Candidates{}, line)
	}}
}

// screenLabels looks at label messages; those made of the rows of a table are of a task
// that was chosen.
func screenLabels(c *commands, chosen string) *screening {
	decoder := schemas.NewDecoder(c.Limits())
	s := &screening{}
	if chosen == "" {
		s.task = "TASK"
	}
	s.refuse = func(line []byte) *schemas.Rejection {
		label, refused := decoder.Label(line)
		if refused == nil {
			s.review.Label(&label)
		}
		return refused
	}
	return s
}

// pass looks at a line and sends its message, and those that were held.
func (s *screening) pass(file string, number int, line []byte, m message, send func(message) error) error {
	s.seen++
	if refused := s.look(line); refused != nil {
		if s.wrong++; s.wrong == 1 {
			s.first, s.cause = fmt.Sprintf("%s:%d", file, number), refused.Reason+s.cure(line)
		}
		if !s.begun {
			if s.held = append(s.held, m); len(s.held) >= screenedLines {
				return s.useless()
			}
			return nil
		}
	} else {
		s.begun = true
	}
	for _, held := range s.held {
		if err := send(held); err != nil {
			return err
		}
	}
	s.held = nil
	return send(m)
}

func (s *screening) look(line []byte) *schemas.Rejection {
	if s.blind {
		return nil
	}
	refused := s.refuse(line)
	if refused != nil && refused.Class == schemas.ClassTooManyNames {
		s.blind = true
		return nil
	}
	return refused
}

// end refuses input of which nothing could be used.
func (s *screening) end() error {
	if len(s.held) > 0 {
		return s.useless()
	}
	return nil
}

func (s *screening) useless() error {
	return fmt.Errorf("nothing is published, because none of the first %d lines could be used; %s: %s", len(s.held), s.first, s.cause)
}

// report writes warnings, and how many of the published messages the pipeline will
// refuse.
func (s *screening) report(w io.Writer) {
	for _, space := range s.review.Spaces {
		for _, notice := range space.Notices() {
			fmt.Fprintln(w, "archflow: "+notice)
		}
	}
	if s.begun && s.wrong > 0 {
		fmt.Fprintf(w, "archflow: %s of %s will be dead letters; %s: %s\n", progress.Thousands(int64(s.wrong)), progress.Thousands(int64(s.seen)), s.first, s.cause)
	}
}

// cure names the remedy for a common kind of wrong line.
func (s *screening) cure(line []byte) string {
	if text := bytes.TrimSpace(line); len(text) > 0 && text[0] != '{' {
		if bytes.IndexByte(text, ',') > 0 && text[0] != '[' {
			return "; it looks like CSV: a line is one JSON object, and 'archflow import FILE' makes such lines of CSV and other files"
		}
		return "; a line is one JSON object"
	}
	var row struct {
		Labels map[string]json.RawMessage `json:"labels"`
		Task   string                     `json:"task"`
	}
	if s.task == "" || json.Unmarshal(finite.AsNull(line), &row) != nil || len(row.Labels) == 0 || row.Task != "" {
		return ""
	}
	return fmt.Sprintf("; it is a row of a benchmark table: choose one of its labels with --task, %s", strings.Join(sortedNames(row.Labels), ", "))
}
