package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/remote"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/ops"
)

type topCommand struct {
	Every time.Duration `default:"1s" help:"Time between two looks."`
	Limit int           `help:"Stop after this many looks."`
}

// Escape sequences of a terminal: the alternate screen without a cursor, its upper left
// corner, clear to the end of the line and of the screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	reverse     = "\x1b[7m"
	normal      = "\x1b[0m"
	newLine     = "\r\n" // a terminal that is read key by key adds no return
)

// Run shows the state of a running archflow again and again: a screen that is
// redrawn on a terminal, at once when its size changes, until q, Esc or Ctrl-C; a
// line a look elsewhere.
func (t topCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	if t.Every < 100*time.Millisecond {
		return cli.Refuse(fmt.Errorf("--every %v is shorter than 100ms", t.Every))
	}
	from, err := remote.New(&c.Config)
	if err != nil {
		return err
	}
	screen, onScreen := std.Out.(*os.File)
	onScreen = onScreen && !c.JSON && term.IsTerminal(int(screen.Fd()))
	again, moves, first := make(chan os.Signal, 1), make(chan move, 16), 0
	if onScreen {
		var leave func()
		if ctx, leave, err = leaveByKey(ctx, std.In, moves); err != nil {
			return err
		}
		defer leave()
		signal.Notify(again, syscall.SIGWINCH)
		defer signal.Stop(again)
		fmt.Fprint(std.Out, enterScreen)
		defer fmt.Fprint(std.Out, leaveScreen)
	}
	for looks := 1; ; looks++ {
		state, raw, err := look(ctx, from)
		for scrolled := true; scrolled; { // a key that scrolls shows the same state from another line
			scrolled = false
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil && !onScreen:
				return err
			case err != nil:
				fmt.Fprint(std.Out, home+console.Printable([]byte(err.Error()))+"; trying again, q leaves"+clearLine+newLine+clearBelow)
			case onScreen:
				width, height, err := term.GetSize(int(screen.Fd()))
				if err != nil {
					width, height = 80, 24
				}
				first = redraw(std.Out, state, width, height, first)
			case c.JSON:
				fmt.Fprintf(std.Out, "%s\n", raw)
			default:
				fmt.Fprintln(std.Out, topLine(state))
			}
			if looks == t.Limit {
				return nil
			}
			timer := time.NewTimer(t.Every)
			select {
			case m := <-moves:
				timer.Stop()
				first = m.from(first)
				scrolled = state != nil
			case <-timer.C:
			case <-again:
				timer.Stop()
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
		}
	}
}

// move is how far a key scrolls, in lines; toEnd and toStart are far enough.
type move int

const (
	pageOf  = 10 // lines that a key for a page scrolls
	toEnd   = move(1 << 20)
	toStart = -toEnd
)

func (m move) from(line int) int { return max(line+int(m), 0) }

// scrolls lists the keys that scroll.
var scrolls = map[string]move{
	"j": 1, "\x1b[B": 1, "\x1bOB": 1, "k": -1, "\x1b[A": -1, "\x1bOA": -1,
	" ": pageOf, "\x1b[6~": pageOf, "b": -pageOf, "\x1b[5~": -pageOf,
	"G": toEnd, "\x1b[F": toEnd, "g": toStart, "\x1b[H": toStart,
}

// leaveByKey returns a context that q, Esc or Ctrl-C ends, when in is a terminal,
// and a function that gives the terminal back as it was. Keys that scroll go to
// moves.
func leaveByKey(ctx context.Context, in io.Reader, moves chan<- move) (context.Context, func(), error) {
	keys, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(keys.Fd())) {
		return ctx, func() {}, nil
	}
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return ctx, nil, fmt.Errorf("the terminal cannot be read key by key: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel() // also when the terminal goes away
		for pressed := make([]byte, 64); ; {
			n, err := keys.Read(pressed)
			if err != nil || leaves(pressed[:n]) {
				return
			}
			if m, ok := scrolls[string(pressed[:n])]; ok {
				select {
				case moves <- m:
				default: // the screen is behind
				}
			}
		}
	}()
	return ctx, func() {
		cancel()
		// The command ends in any case.
		_ = term.Restore(int(keys.Fd()), before)
	}, nil
}

// leaves says whether the keys of one read ask to leave. Esc alone does; followed by
// more bytes it is the start of an arrow or another key.
func leaves(pressed []byte) bool {
	const ctrlC, ctrlD, esc = 3, 4, 27
	if len(pressed) > 0 && pressed[0] == esc {
		return len(pressed) == 1
	}
	return bytes.ContainsAny(pressed, string([]byte{'q', 'Q', ctrlC, ctrlD}))
}

// look asks for the present state.
func look(ctx context.Context, from remote.Client) (*ops.State, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := from.Get(ctx, "/api/state")
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, nil, err
	}
	var s ops.State
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, nil, errors.New("the server is not an archflow, or one of another version")
	}
	return &s, raw, nil
}

// topLine is the state in one line, for logs and pipes.
func topLine(s *ops.State) string {
	messages, seconds := lag(s)
	slowest := ""
	for _, stage := range s.Stages {
		if stage.Bottleneck {
			slowest += ", bottleneck " + stage.Name
		}
	}
	return fmt.Sprintf("%s %s: %s predictions/s, %s predictions, %s labels, %s dead letters, lag %s (%.0f s)%s",
		time.UnixMilli(s.Time).Format(time.TimeOnly), readyText(s), progress.Thousands(int64(s.Totals.Rate)), progress.Thousands(s.Totals.Predictions),
		progress.Thousands(s.Totals.Labels), progress.Thousands(s.Totals.DeadLetters), progress.Thousands(messages), seconds, slowest)
}

func lag(s *ops.State) (messages int64, seconds float64) {
	for _, l := range s.Lag {
		messages += l.Messages
		seconds = max(seconds, l.Seconds)
	}
	return messages, seconds
}

func readyText(s *ops.State) string {
	if s.Ready {
		return "ready"
	}
	return "not ready (" + string(s.Phase) + ")"
}

// redraw writes the screen anew, from a line on, and returns that line, or the
// last from which the rest fits. Lines are cut at the window's edges.
func redraw(w io.Writer, s *ops.State, width, height, first int) int {
	lines := screenLines(s)
	room := max(height-1, 1)
	first = min(first, max(len(lines)-room, 0))
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines[first:min(len(lines), first+room)] {
		text := cut(console.Printable([]byte(line.text)), width)
		if line.strong {
			text = reverse + text + normal
		}
		if i > 0 {
			b.WriteString(newLine)
		}
		b.WriteString(text + clearLine)
	}
	b.WriteString(newLine)
	if len(lines) > room {
		b.WriteString(cut(fmt.Sprintf("lines %d to %d of %d; arrows, space and b scroll, q leaves", first+1, min(len(lines), first+room), len(lines)), width))
	}
	b.WriteString(clearLine + clearBelow)
	_, _ = io.WriteString(w, b.String()) // a terminal that is gone ends the process anyway
	return first
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width])
}

// fit cuts a name to a column, from its middle.
func fit(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	head := (width - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-1-head):])
}

// screenLine is a line of the screen; a strong one is highlighted.
type screenLine struct {
	text   string
	strong bool
}

// screenLines is the state as lines, the most important first.
func screenLines(s *ops.State) []screenLine {
	var lines []screenLine
	add := func(strong bool, format string, a ...any) {
		lines = append(lines, screenLine{fmt.Sprintf(format, a...), strong})
	}
	messages, seconds := lag(s)
	add(true, "archflow %s  role %s  %s  up %v", s.Version, s.Role, readyText(s), time.Duration(s.Uptime)*time.Second)
	for _, check := range sortedNames(s.Reasons) {
		add(true, "  %s: %s", check, s.Reasons[check])
	}
	add(false, "%s predictions/s   %s predictions   %s labels   %s dead letters   lag %s (%.0f s)", progress.Thousands(int64(s.Totals.Rate)),
		progress.Thousands(s.Totals.Predictions), progress.Thousands(s.Totals.Labels), progress.Thousands(s.Totals.DeadLetters), progress.Thousands(messages), seconds)
	add(false, "")
	add(false, "%-22s %10s %10s  %-12s %5s %5s %8s  %s", "stage", "in/s", "out/s", "busy", "wait", "full", "queue", "after")
	for _, st := range s.Stages {
		add(st.Bottleneck, "%-22s %10s %10s  %s %4.0f%% %4.0f%% %5d/%-2d  %s", st.Name, progress.Thousands(int64(st.In)), progress.Thousands(int64(st.Out)),
			meter(st.Busy), 100*st.Idle, 100*st.Blocked, st.Queue, st.Capacity, strings.Join(st.After, ", "))
	}
	if len(s.Models) > 0 {
		add(false, "")
		add(false, "%-10s %7s %10s %8s %8s  %-14s %s", "space", "model", "networks", "labels", "steps", "doing", "tasks")
	}
	for _, m := range s.Models {
		add(false, "%-10s %7d %10s %8s %8s  %-14s %s", fit(m.Space, 10), m.Version, progress.Thousands(int64(m.Networks)), progress.Thousands(int64(m.Labels)), progress.Thousands(m.Steps), m.Doing, strings.Join(m.Tasks, ", ")+pinText(&m))
	}
	if len(s.Scores) > 0 {
		add(false, "")
		add(false, "%-24s %14s %9s %8s %8s %6s", "task", "tau at random", "of these", "top 5 %", "covered", "pairs")
	}
	for _, score := range s.Scores {
		add(false, "%-24s %14s %9s %8s %8s %6d", fit(score.Task, 24), scoreText(score.TauRandom, 1, "%.3f")+scoreText(score.TauError, 1, " ±%.3f"), scoreText(score.Tau, 1, "%.3f"), scoreText(score.P5, 100, "%.0f %%"), scoreText(score.Coverage, 100, "%.0f %%"), score.Pairs)
	}
	if len(s.Best) > 0 {
		add(false, "")
		add(false, "best predicted")
	}
	shown := map[string]int{}
	for _, b := range s.Best {
		if shown[b.Space+"/"+b.Task]++; shown[b.Space+"/"+b.Task] > 5 {
			continue
		}
		add(false, "  %-10s %-24s %s %s [%s, %s], better than %s %%%s%s", fit(b.Space, 10), fit(b.ID, 24), fit(b.Task, 20), fourDigits(b.Value), fourDigits(b.Low), fourDigits(b.High), fourDigits(b.Percentile), bestText(b.Top), truthText(&b))
		if text := attributesText(b.Cells); text != "" {
			add(false, "      %s", text)
		}
	}
	if len(s.DeadLetters) > 0 {
		add(false, "")
		add(false, "last dead letters")
	}
	for _, d := range s.DeadLetters[:min(len(s.DeadLetters), 3)] {
		add(false, "  %s/%d/%d  %s: %s", d.Topic, d.Partition, d.Offset, d.Class, d.Reason)
	}
	return lines
}

// attributesText is the hyperparameters and attributes of one of the best, those of
// operations that follow each other and are the same once; "" without any.
func attributesText(cells []ops.Cell) string {
	var parts []string
	for i := range cells {
		c := &cells[i]
		if c.Hyperparameters != "" {
			parts = append(parts, c.Hyperparameters)
		}
		last, times := "", 0
		finish := func() {
			if times > 1 {
				parts[len(parts)-1] += fmt.Sprintf(" x %d", times)
			}
		}
		for v, note := range c.Notes {
			if note == "" {
				continue
			}
			if text := c.Ops[v] + " (" + note + ")"; text != last {
				finish()
				parts, last, times = append(parts, text), text, 1
			} else {
				times++
			}
		}
		finish()
	}
	return strings.Join(parts, "; ")
}

// truthText is what one of the best came to, "" before it was trained.
func truthText(b *ops.BestState) string {
	if !b.Labelled {
		return ""
	}
	return ", trained: " + fourDigits(b.Label)
}

func pinText(m *ops.ModelState) string {
	switch {
	case m.Waiting != "":
		return "  pinned, " + m.Waiting + " waits"
	case m.Pinned:
		return "  pinned"
	}
	return ""
}

// meter draws a share as a bar of six characters and as percent.
func meter(share float64) string {
	full := min(max(int(share*6+.5), 0), 6)
	return fmt.Sprintf("%s%s %4.0f%%", strings.Repeat("#", full), strings.Repeat(".", 6-full), 100*share)
}

func scoreText(v *float64, times float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, times*(*v))
}

// fourDigits is a number in four digits, - where it is undefined.
func fourDigits(x finite.Float) string {
	if !finite.Is(float64(x)) {
		return "-"
	}
	return fmt.Sprintf("%.4g", float64(x))
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
