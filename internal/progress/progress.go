// Package progress shows people how far a long step is: on a terminal by redrawing a
// line, elsewhere by a line every few seconds.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Bar shows how far a long step is: a bar that redraws itself on a
// terminal, a line every few seconds elsewhere. It is safe for concurrent use.
type Bar struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	what     string
	total    int64 // 0 when unknown
	done     int64
	began    time.Time
	shown    time.Time
	note     string
}

const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
	barWidth    = 30
)

// NewBar returns a bar that counts what, total of them or 0 where that is unknown.
func NewBar(out io.Writer, what string, total int64) *Bar {
	p := &Bar{out: out, what: what, total: total, began: time.Now()}
	if f, ok := out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	p.shown = p.began
	return p
}

// Add counts n more; note, when not empty, is shown behind.
func (p *Bar) Add(n int64, note string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if note != "" {
		p.note = note
	}
	every := lineEvery
	if p.terminal {
		every = redrawEvery
	}
	if time.Since(p.shown) >= every {
		p.draw()
	}
}

// Finish shows the last state.
func (p *Bar) Finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw()
	if p.terminal {
		fmt.Fprintln(p.out)
	}
}

func (p *Bar) draw() {
	p.shown = time.Now()
	rate := float64(p.done) / max(time.Since(p.began).Seconds(), 1e-3)
	text := fmt.Sprintf("%s %s", p.what, Thousands(p.done))
	if p.total > 0 {
		share := min(float64(p.done)/float64(p.total), 1)
		if p.terminal {
			filled := int(share * barWidth)
			text = fmt.Sprintf("%s [%s%s] %s of %s", p.what, strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), Thousands(p.done), Thousands(p.total))
		} else {
			text += " of " + Thousands(p.total)
		}
	}
	text += fmt.Sprintf(", %s/s", Thousands(int64(rate)))
	if p.note != "" {
		text += ", " + p.note
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// Thousands writes n with separators: 15,625.
func Thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
