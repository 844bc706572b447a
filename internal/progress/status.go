package progress

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Status shows where a long computation is: on a terminal a line that redraws
// itself, elsewhere a line every few seconds.
type Status struct {
	out      io.Writer
	terminal bool
	shown    time.Time
}

// NewStatus returns a status that is written to out.
func NewStatus(out io.Writer) *Status {
	s := &Status{out: out, shown: time.Now()}
	if f, ok := out.(*os.File); ok {
		s.terminal = term.IsTerminal(int(f.Fd()))
	}
	return s
}

// Show draws text, unless it is too soon.
func (s *Status) Show(text string) {
	every := lineEvery
	if s.terminal {
		every = redrawEvery
	}
	if time.Since(s.shown) < every {
		return
	}
	s.shown = time.Now()
	if s.terminal {
		fmt.Fprintf(s.out, "\r\033[K%s", text)
		return
	}
	fmt.Fprintln(s.out, text)
}

// Say prints text for good.
func (s *Status) Say(text string) {
	s.End()
	fmt.Fprintln(s.out, text)
	s.shown = time.Now()
}

// End clears a line that redraws itself.
func (s *Status) End() {
	if s.terminal {
		fmt.Fprint(s.out, "\r\033[K")
	}
}
