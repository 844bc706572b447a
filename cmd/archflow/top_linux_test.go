package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"archflow/cmd/archflow/console"

	"golang.org/x/sys/unix"
)

// terminal returns the two ends of a pseudo-terminal: that of a person and that of
// a program has.
func terminal(t *testing.T, width, height uint16) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("left out, there are no pseudo-terminals: %v; mount /dev/pts", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	resize(t, person, width, height)
	return person, program
}

func resize(t *testing.T, person *os.File, width, height uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
}

// seen is the output on a terminal.
type seen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *seen) watch(person *os.File) {
	for buffer := make([]byte, 1<<16); ; {
		n, err := person.Read(buffer)
		s.mu.Lock()
		s.text.Write(buffer[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *seen) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// TestTopOnATerminal: top fits the window, follows its size, and each of its keys
// leaves and gives the terminal back.
func TestTopOnATerminal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"version":"9.9","role":"all","ready":true,"phase":"running","stages":[{"name":"a stage with quite a long name","busy":1,"bottleneck":true}]}`)
	}))
	defer server.Close()
	for name, key := range map[string]string{"q": "q", "Esc": "\x1b", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			person, program := terminal(t, 30, 10)
			before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			var shown seen
			go shown.watch(person)
			ended := make(chan int)
			go func() {
				ended <- run(context.Background(), []string{"top", "--every", "100ms", "--http", strings.TrimPrefix(server.URL, "http://")}, console.Streams{In: program, Out: program, Err: program})
			}()
			until(t, "the screen is drawn", func() bool { return shown.has(enterScreen) && shown.has("a stage with quite a long name"[:20]) })
			if shown.has("in/s      out/s  busy") {
				t.Error("a line is longer than the window")
			}
			resize(t, person, 100, 10)
			until(t, "it is drawn for the new size", func() bool { return shown.has("in/s      out/s  busy") })
			if _, err := person.WriteString("x\x1b[A"); err != nil { // another key and an arrow
				t.Fatal(err)
			}
			select {
			case status := <-ended:
				t.Fatalf("x ended it with status %d", status)
			case <-time.After(300 * time.Millisecond):
			}
			if _, err := person.WriteString(key); err != nil {
				t.Fatal(err)
			}
			select {
			case status := <-ended:
				if status != console.ExitStopped {
					t.Errorf("status %d", status)
				}
			case <-time.After(patience):
				t.Fatal("it goes on")
			}
			until(t, "the other screen is left", func() bool { return shown.has(leaveScreen) })
			after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is not as it was: %v", err)
			}
		})
	}
}

// TestTopScrolls: at 80 by 24 every line of a long state can be reached.
func TestTopScrolls(t *testing.T) {
	var state strings.Builder
	state.WriteString(`{"version":"9.9","role":"all","ready":true,"phase":"running","stages":[`)
	for i := range 60 {
		if i > 0 {
			state.WriteString(",")
		}
		fmt.Fprintf(&state, `{"name":"stage %02d","busy":1}`, i)
	}
	fmt.Fprintf(&state, `],"best":[{"space":"s","task":"t","id":"%s-the-end","labelled":true,"label":3}]}`, strings.Repeat("long-", 30))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, state.String()) }))
	defer server.Close()
	person, program := terminal(t, 80, 24)
	var shown seen
	go shown.watch(person)
	ended := make(chan int)
	go func() {
		ended <- run(context.Background(), []string{"top", "--every", "1m", "--http", strings.TrimPrefix(server.URL, "http://")}, console.Streams{In: program, Out: program, Err: program})
	}()
	until(t, "the first lines are shown", func() bool { return shown.has("stage 10") && shown.has("lines 1 to 23 of") })
	if shown.has("stage 40") {
		t.Error("more is shown than fits")
	}
	for _, step := range []struct{ key, want string }{{"\x1b[B", "lines 2 to 24 of"}, {" ", "lines 12 to 34 of"}, {"k", "lines 11 to 33 of"}, {"G", "stage 59"}, {"g", "lines 1 to 23 of"}} {
		if _, err := person.WriteString(step.key); err != nil {
			t.Fatal(err)
		}
		until(t, "after "+step.key, func() bool { return shown.has(step.want) })
	}
	if !shown.has("the-end") {
		t.Error("the end of a long name is cut off")
	}
	if _, err := person.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != console.ExitStopped {
		t.Errorf("status %d", status)
	}
}
