package sinks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// servant is a program that answers lines of JSON with lines of JSON. It is
// started once and serves all tests of the process, because starting it takes
// longer than most answers.
type servant struct {
	args []string // of the interpreter
	env  func() []string

	mu      sync.Mutex
	in      io.Writer
	out     *json.Decoder
	failure lockedBuffer
}

var (
	pythonServant = &servant{args: []string{filepath.Join("testdata", "serve.py")}}
	sparkServant  = &servant{args: []string{filepath.Join("testdata", "spark.py")}, env: func() []string {
		folder, err := os.MkdirTemp("", "archflow-spark-")
		if err != nil {
			return nil
		}
		kafkatest.AtEnd(func() { _ = os.RemoveAll(folder) })
		return []string{"TMPDIR=" + folder}
	}}
)

// ask sends a request and reads the answer.
func (s *servant) ask(t *testing.T, request, answer any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in == nil {
		if err := s.start(); err != nil {
			t.Fatalf("%v: %v", s.args, err)
		}
	}
	err := json.NewEncoder(s.in).Encode(request)
	if err == nil {
		err = s.out.Decode(answer)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", s.args, err, s.failure.String())
	}
}

// start starts the program. It ends when its input does, at the latest with this
// process.
func (s *servant) start() error {
	interpreter, err := filepath.Abs("../.tools/venv/bin/python")
	if err != nil {
		return err
	}
	c := exec.Command(interpreter, s.args...)
	c.Stderr = &s.failure
	if s.env != nil {
		c.Env = append(os.Environ(), s.env()...)
	}
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	kafkatest.AtEnd(func() {
		_ = in.Close()
		hung := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		hung.Stop()
	})
	s.in, s.out = in, json.NewDecoder(out)
	return nil
}

// needReaders fails where CI=true, and skips elsewhere, without the readers of
// .ci/python.sh.
func needReaders(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("../.tools/venv/bin/python"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the table readers are missing; sh .ci/python.sh gets them")
		}
		t.Skip("left out: the table readers are missing; sh .ci/python.sh gets them, given Python 3")
	}
}

// python runs a script of testdata with those readers and returns its output.
func python(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	needReaders(t)
	var answer struct{ Out, Error string }
	pythonServant.ask(t, map[string]any{"script": filepath.Join("testdata", script), "args": append([]string{}, args...)}, &answer)
	if answer.Error != "" {
		t.Fatalf("%s %v: %s", script, args, answer.Error)
	}
	return []byte(answer.Out)
}

// lockedBuffer is a bytes.Buffer that a process writes while tests read it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
