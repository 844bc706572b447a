// Command report shows what `go test -json` says the way `go test` does, and keeps
// the outcome of every test in a file, of which it makes a summary.
//
//	go test -json ./... | report FILE     status 1 when something failed
//	report -sum FILE...                   how many tests ran, failed and were left out
//	report -flaky FILE...                 of repeated runs: each test that failed, and how often
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	FailedBuild                               string
}

func main() {
	var err error
	switch {
	case len(os.Args) == 2:
		err = follow(os.Stdin, os.Stdout, os.Args[1])
	case len(os.Args) > 2 && os.Args[1] == "-sum":
		err = summarise(os.Stdout, os.Args[2:])
	case len(os.Args) > 2 && os.Args[1] == "-flaky":
		err = count(os.Stdout, os.Args[2:])
	default:
		err = fmt.Errorf("usage: report FILE, report -sum FILE... or report -flaky FILE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// follow prints the lines of packages and of failed tests, and appends outcomes
// to a file.
func follow(in io.Reader, out io.Writer, name string) error {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	said := map[string][]string{} // by package and test, until its outcome is known
	failed := false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // of go itself
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "output":
			said[key] = append(said[key], e.Output)
		case "pass", "skip", "fail":
			failed = failed || e.Action == "fail"
			show(out, e, said[key])
			delete(said, key)
			if _, err := fmt.Fprintf(file, "%s\t%s\t%s\n", e.Action, e.Package, e.Test); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if failed {
		return fmt.Errorf("something failed")
	}
	return nil
}

// show prints what is of interest of a test or, without one, of a package.
func show(out io.Writer, e event, said []string) {
	if e.Test != "" {
		if e.Action == "fail" {
			fmt.Fprint(out, strings.Join(said, ""))
		}
		return
	}
	for _, line := range said {
		if e.Action == "fail" && line != "FAIL\n" || strings.HasPrefix(line, "ok ") {
			fmt.Fprint(out, line)
		}
	}
}

// outcome is what became of a test in one run.
type outcome struct{ action, place, test string }

func outcomes(names []string) (all []outcome, err error) {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(parts) == 3 {
				all = append(all, outcome{parts[0], parts[1], parts[2]})
			}
		}
	}
	return all, nil
}

func summarise(out io.Writer, names []string) error {
	all, err := outcomes(names)
	if err != nil {
		return err
	}
	packages := map[string]bool{}
	tests, parts := 0, 0
	var failed, left []string
	for _, o := range all {
		switch {
		case o.test == "":
			packages[o.place] = true
			if o.action == "fail" {
				failed = append(failed, o.place)
			}
			continue
		case strings.Contains(o.test, "/"):
			parts++
		default:
			tests++
		}
		if o.action == "fail" {
			failed = append(failed, o.place+" "+o.test)
		}
		if o.action == "skip" {
			left = append(left, o.place+" "+o.test)
		}
	}
	fmt.Fprintf(out, "\n%d tests with %d parts ran in %d packages; %d failed, %d were left out.\n", tests-len(left), parts, len(packages), len(failed), len(left))
	for _, list := range []struct {
		title string
		names []string
	}{{"Failed:", failed}, {"Left out:", left}} {
		if len(list.names) > 0 {
			fmt.Fprintf(out, "%s\n  %s\n", list.title, strings.Join(list.names, "\n  "))
		}
	}
	return nil
}

// count lists the tests that failed in some of the runs.
func count(out io.Writer, names []string) error {
	all, err := outcomes(names)
	if err != nil {
		return err
	}
	ran, failed := map[string]int{}, map[string]int{}
	for _, o := range all {
		key := o.place + " " + o.test
		ran[key]++
		if o.action == "fail" {
			failed[key]++
		}
	}
	var flaky []string
	for key, n := range failed {
		flaky = append(flaky, fmt.Sprintf("%3d of %3d  %s", n, ran[key], key))
	}
	slices.Sort(flaky)
	fmt.Fprintf(out, "%d tests and packages, %d failed at least once\n", len(ran), len(flaky))
	for _, line := range slices.Backward(flaky) {
		fmt.Fprintln(out, line)
	}
	if len(flaky) > 0 {
		return fmt.Errorf("%d are not reliable", len(flaky))
	}
	return nil
}
