package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEndToEndRefusals: what is wrong before anything runs is said in one
// sentence, with the right status.
func TestEndToEndRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	file := write("file", "not a folder")
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"a port in use", []string{"run", "--http", port}, 1, []string{port, "in use", "--http"}},
		{"a wrong flag", []string{"run", "--brokes", "x:1"}, 2, []string{"unknown flag --brokes", "--brokers"}},
		{"a wrong command", []string{"rum"}, 2, []string{"rum", "run"}},
		{"a wrong value", []string{"run", "--role", "boss"}, 2, []string{"--role", "all", "worker", "trainer", "boss"}},
		{"no number", []string{"run", "--partitions", "many"}, 2, []string{"--partitions", "many"}},
		{"out of range", []string{"run", "--partitions", "0", "--train-share", "2"}, 2, []string{"partitions: 0", "train-share: 2"}},
		{"no broker", []string{"run", "--brokers", "localhost"}, 2, []string{"localhost", "HOST:PORT"}},
		{"a wrong key", []string{"run", "--config", write("key.yaml", "# comment\ngroup: g\nbroker:\n  - a:1\n")}, 2, []string{"key.yaml:3:", `"broker"`, `"brokers"`}},
		{"a wrong value in the file", []string{"run", "--config", write("value.yaml", "group: g\npartitions: many\n")}, 2, []string{"value.yaml:2", "partitions", "many"}},
		{"an impossible value in the file", []string{"run", "--config", write("range.yaml", "group: g\n\npartitions: -3\n")}, 2, []string{"range.yaml:3", "partitions: -3"}},
		{"no YAML", []string{"run", "--config", write("broken.yaml", "group: [g\n")}, 2, []string{"broken.yaml"}},
		{"an absent configuration", []string{"run", "--config", filepath.Join(dir, "absent.yaml")}, 2, []string{"absent.yaml", "no such file"}},
		{"an absent file", []string{"publish", "candidates", filepath.Join(dir, "absent.jsonl")}, 1, []string{"absent.jsonl", "no such file"}},
		{"a folder as file", []string{"publish", "candidates", dir}, 1, []string{dir, "is a directory"}},
		{"no gzip", []string{"publish", "candidates", write("plain.jsonl.gz", "{}\n")}, 1, []string{"plain.jsonl.gz", "gzip"}},
		{"an unknown task", []string{"publish", "labels", benchmark, "--task", "exactness"}, 1, []string{"exactness"}},
		{"an unknown topic", []string{"read", "prediction"}, 2, []string{"prediction", "predictions"}},
		{"no time", []string{"read", "predictions", "--from", "yesterday"}, 2, []string{"yesterday", "15m"}},
		{"no rate", []string{"publish", "candidates", "-", "--rate", "0/s"}, 2, []string{"--rate", "5000/s"}},
		{"a file as data folder", []string{"run", "--data", file}, 1, []string{file, "not a directory"}},
		{"a file as table", []string{"run", "--table", file}, 1, []string{file, "table"}},
		{"an unknown kind of table", []string{"run", "--table", "ftp://x/y"}, 2, []string{"ftp://x/y", "s3://"}},
		{"an open page", []string{"run", "--http", "0.0.0.0:0"}, 2, []string{"token"}},
		{"lint", []string{"lint", write("bad.jsonl", "{\"space\":\"nb201\"}\n")}, 1, []string{"1 of 1 would be refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := install(t, "").start(c.args...)
			if status := p.wait(patience); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			said := p.err.String()
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if lines := strings.Split(strings.TrimSpace(said), "\n"); len(lines) > 4 || strings.Contains(said, "goroutine ") {
				t.Errorf("%d lines, want one sentence", len(lines))
			}
			t.Logf("%s", said)
		})
	}
}

// TestEndToEndReadOnly: a data folder that cannot be written to. Root may write
// everywhere, so the folder is on a file system that is mounted read-only.
func TestEndToEndReadOnly(t *testing.T) {
	in := install(t, "")
	disk := mount(t, "size=1m")
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	in.set("DATA", filepath.Join(disk, "data"))
	p := in.start("run")
	if status := p.wait(patience); status != 1 || !strings.Contains(p.err.String(), "read-only") || !strings.Contains(p.err.String(), disk) {
		t.Errorf("status %d: %s", status, p.err.String())
	}
	t.Logf("%s", p.err.String())
}

// mount mounts a small file system in memory, which needs root.
func mount(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("left out: only root may mount the small disk of this test; run it as root, or in a container")
	}
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, options); err != nil {
		t.Skip("left out: this machine does not let root mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error("unmount: ", err)
		}
	})
	return disk
}

// TestEndToEndDiskFull: the disk of the tables, of the store, or of everything
// fills up. The run says so; when there is room again, the next one completes
// what is there, each candidate once.
func TestEndToEndDiskFull(t *testing.T) {
	for _, c := range []struct {
		name string
		full func(in *installation, disk string)
	}{
		{"tables", func(in *installation, disk string) { in.set("TABLE", disk+"/tables") }},
		{"store", func(in *installation, disk string) { in.set("STORE", disk+"/store") }},
		{"all", func(in *installation, disk string) { in.set("DATA", disk); in.data = disk }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := install(t, "")
			disk := mount(t, "size=40m")
			c.full(in, disk)
			in.ok("publish", "candidates", benchmark, "--limit", "1500")
			in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "40", "--seed", "5")
			fill(t, filepath.Join(disk, "filler"), 16<<10)
			p := in.start("run", "--exit-at-end")
			select {
			case <-p.done:
				t.Logf("status %d: %s", p.status, lastLines(p.err.String(), 2))
				if p.status == 0 {
					t.Error("it says that all is well")
				}
			case <-time.After(10 * time.Second): // it may also wait for room
			}
			if !strings.Contains(p.err.String(), "no space left on device") {
				t.Errorf("it does not say that the disk is full: %s", p.err.String())
			}
			if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
				p.signal(syscall.SIGTERM)
				p.wait(patience)
			}
			in.ok("run", "--exit-at-end")
			if c.name == "tables" {
				in.data = t.TempDir()
				if err := os.Symlink(disk+"/tables", in.data+"/tables"); err != nil {
					t.Fatal(err)
				}
			}
			in.everyCandidate(1500, "deltalake")
		})
	}
}

// fill writes a file until only that many bytes are left on its disk.
func fill(t *testing.T, path string, leave int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var room syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &room); err != nil {
		t.Fatal(err)
	}
	free := int64(room.Bavail) * room.Bsize
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, max(free-leave, 1)); err != nil {
		t.Fatal(fmt.Errorf("fill %d bytes: %w", free, err))
	}
}
