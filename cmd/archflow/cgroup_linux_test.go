package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cgroup is a control group with a limit on memory, of either generation.
type cgroup struct {
	dir   string
	files cgroupFiles
}

type cgroupFiles struct {
	limit, swap, peak, events string
	together                  bool // the limit of swap is that of memory and swap together
}

var (
	firstCgroups  = cgroupFiles{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control", true}
	secondCgroups = cgroupFiles{"memory.max", "memory.swap.max", "memory.peak", "memory.events", false}
)

// newCgroup makes a group below one that this process may make groups in, or
// leaves the test out. It is gone when the test ends. A machine that lets nobody
// make groups cannot be told apart from one that only lets root, so that this is
// not a failure anywhere.
func newCgroup(t *testing.T, limit int64) *cgroup {
	t.Helper()
	var tried []error
	for _, parent := range cgroupParents(t) {
		g := &cgroup{dir: filepath.Join(parent, fmt.Sprintf("archflow-test-%d", os.Getpid())), files: secondCgroups}
		err := os.Mkdir(g.dir, 0o755)
		if err != nil {
			tried = append(tried, err)
			continue
		}
		if g.has(firstCgroups.limit) {
			g.files = firstCgroups
		}
		if !g.has(g.files.limit) {
			tried = append(tried, fmt.Errorf("%s: memory is not controlled there", g.dir), os.Remove(g.dir))
			continue
		}
		t.Cleanup(g.remove(t))
		g.write(t, g.files.limit, strconv.FormatInt(limit, 10))
		if g.has(g.files.swap) { // that there is none to escape to
			without := "0"
			if g.files.together {
				without = strconv.FormatInt(limit, 10)
			}
			g.write(t, g.files.swap, without)
		}
		return g
	}
	t.Skip("left out, for want of a control group with a memory limit; it needs root and a writable /sys/fs/cgroup (sudo make e2e): ", errors.Join(tried...))
	return nil
}

// cgroupParents lists the folders of the groups that this process is in and of
// those around them, the nearest first.
func cgroupParents(t *testing.T) (parents []string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip("left out, for want of control groups: ", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(own)), "\n") {
		hierarchy, rest, _ := strings.Cut(line, ":")
		controllers, path, found := strings.Cut(rest, ":")
		root := "/sys/fs/cgroup/memory"
		switch {
		case !found || hierarchy != "0" && controllers != "memory":
			continue
		case hierarchy == "0":
			root = "/sys/fs/cgroup"
			if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
				continue
			}
		}
		for ; ; path = filepath.Dir(path) {
			parents = append(parents, filepath.Join(root, path))
			if path == "/" || path == "." {
				break
			}
		}
	}
	return parents
}

func (g *cgroup) has(file string) bool {
	_, err := os.Stat(filepath.Join(g.dir, file))
	return err == nil
}

func (g *cgroup) write(t *testing.T, file, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// number returns the number in a file, or in one of its fields.
func (g *cgroup) number(t *testing.T, file, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		words := strings.Fields(string(line))
		if field == "" || len(words) == 2 && words[0] == field {
			n, err := strconv.ParseInt(words[len(words)-1], 10, 64)
			if err != nil {
				t.Fatal(file, ": ", err)
			}
			return n
		}
	}
	t.Fatalf("%s has no field %q: %s", file, field, text)
	return 0
}

// seen returns how many processes of the group the kernel has killed for want of
// memory, and the maximum of the group, -1 where the kernel does not report it.
func (g *cgroup) seen(t *testing.T) (killed, peak int64) {
	t.Helper()
	return g.number(t, g.files.events, "oom_kill"), g.number(t, g.files.peak, "")
}

// program returns a program that joins the group and becomes the one of path.
func (g *cgroup) program(t *testing.T, path string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "limited")
	text := fmt.Sprintf("#!/bin/sh\necho $$ >'%s/cgroup.procs' && exec '%s' \"$@\"\n", g.dir, path)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	return script
}

// remove waits until the kernel has let go of the group's processes.
func (g *cgroup) remove(t *testing.T) func() {
	return func() {
		err := os.Remove(g.dir)
		for deadline := time.Now().Add(5 * time.Second); errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline); err = os.Remove(g.dir) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
