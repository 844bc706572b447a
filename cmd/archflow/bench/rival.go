package bench

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The rivals' scripts each stay alive for a whole bench and measure one turn a
// line on their standard input, so that they take turns with ours.
//
//go:embed rivals/*.py
var rivalScripts embed.FS

// script is a running script.
type script struct {
	cancel context.CancelFunc
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	said   *bytes.Buffer // on standard error
}

// rivalReply is a line of a script.
type rivalReply struct {
	PerS     float64  `json:"per_s"`
	Error    string   `json:"error"`
	Torch    string   `json:"torch"`
	Variants []string `json:"variants"`
}

// startScript starts a script and returns its first line. ctx ends it.
func (b *bench) startScript(ctx context.Context, name string, args ...string) (*script, rivalReply, error) {
	if b.scripts == "" {
		folder, err := os.MkdirTemp("", "archflow-rivals-")
		if err != nil {
			return nil, rivalReply{}, err
		}
		b.scripts = folder
	}
	text, err := rivalScripts.ReadFile("rivals/" + name)
	if err != nil {
		return nil, rivalReply{}, err
	}
	path := filepath.Join(b.scripts, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, rivalReply{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &script{cancel: cancel, said: &bytes.Buffer{}}
	s.cmd = exec.CommandContext(ctx, b.Python, append([]string{path}, args...)...)
	s.cmd.Stderr, s.cmd.WaitDelay = s.said, time.Second
	var out io.Reader
	if s.in, err = s.cmd.StdinPipe(); err == nil {
		if out, err = s.cmd.StdoutPipe(); err == nil {
			err = s.cmd.Start()
		}
	}
	if err != nil {
		cancel()
		return nil, rivalReply{}, err
	}
	s.out = bufio.NewScanner(out)
	reply, err := s.reply()
	if err != nil {
		s.close()
		return nil, reply, err
	}
	return s, reply, nil
}

// ask has the script measure one turn.
func (s *script) ask(line string) (float64, error) {
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		return 0, err
	}
	reply, err := s.reply()
	return reply.PerS, err
}

func (s *script) reply() (rivalReply, error) {
	var r rivalReply
	if !s.out.Scan() {
		_ = s.cmd.Wait() // the script has written the cause, if it could
		lines := strings.Split(strings.TrimSpace(s.said.String()), "\n")
		return r, fmt.Errorf("the script ended: %s", lines[len(lines)-1])
	}
	if err := json.Unmarshal(s.out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("the script said %q: %w", s.out.Text(), err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (s *script) close() {
	s.cancel()
	_ = s.cmd.Wait() // killed
}

// torchRival is PyTorch on one table.
type torchRival struct {
	script  *script
	version string
	names   []string
	absent  string // why there is none
}

func (t *torchRival) close() {
	if t.script != nil {
		t.script.close()
	}
}

// torchOn starts PyTorch on a table, once.
func (b *bench) torchOn(ctx context.Context, table *dataset, width int) *torchRival {
	if t := b.torch[table.name]; t != nil {
		return t
	}
	t := &torchRival{}
	s, reply, err := b.startScript(ctx, "torch_speed.py", table.file, fmt.Sprint(width), fmt.Sprint(runtime.GOMAXPROCS(0)))
	if err != nil {
		t.absent = err.Error()
	}
	t.script, t.version, t.names = s, reply.Torch, reply.Variants
	b.torch[table.name] = t
	return t
}

// best returns a turn of the variant that was fastest in a trial, or why there
// is none.
func (t *torchRival) best(ctx context.Context, kind string) (turn, string, string) {
	if t.script == nil {
		return nil, "", "no PyTorch: " + t.absent
	}
	name, most := "", 0.
	var tried []string
	for _, v := range t.names {
		rate, err := t.script.ask(fmt.Sprintf("%s %s 2", kind, v))
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			tried = append(tried, fmt.Sprintf("%s failed: %v", v, err))
			continue
		}
		tried = append(tried, fmt.Sprintf("%s %s/s", v, plain(rate)))
		if rate > most {
			name, most = v, rate
		}
	}
	if name == "" {
		return nil, "", "no variant of PyTorch ran: " + strings.Join(tried, "; ")
	}
	measure := func(context.Context) (float64, error) { return t.script.ask(fmt.Sprintf("%s %s 2", kind, name)) }
	about := fmt.Sprintf("PyTorch %s in a trial: %s; the fastest took turns with ours", t.version, strings.Join(tried, ", "))
	if !slices.Contains(t.names, "pyg") {
		about += "; torch_geometric is not installed"
	}
	return measure, "torch " + name, about
}
