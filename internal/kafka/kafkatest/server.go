package kafkatest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is an Apache Kafka of the caller's own, to be stopped and killed.
type Server struct {
	Address string
	dir     string
	class   string // Java's class path
	process *os.Process
	ended   chan error
	output  *bytes.Buffer // to be read when it has ended
}

// frugal makes Java compile little and collect on one thread: a process of the tests
// ends before more would be worth it.
var frugal = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}

// Own returns a server that has not been started. It ends with the test, and
// with the test process. Where it cannot be, the test is left out, as with
// Real.
func Own(t testing.TB) *Server {
	t.Helper()
	s, err := newServer(nil)
	if err != nil {
		leaveOut(t, err)
	}
	t.Cleanup(s.remove)
	return s
}

// Configured is Own with a configuration that is not the tests': properties
// returns it for a folder of the server's own and two free ports of 127.0.0.1,
// the broker's and the controller's.
func Configured(t testing.TB, properties func(dir string, broker, controller int) string) *Server {
	t.Helper()
	s, err := serverWith(func(dir string, broker, controller int) (string, []string, error) {
		return properties(dir, broker, controller), nil, nil
	})
	if err != nil {
		leaveOut(t, err)
	}
	t.Cleanup(s.remove)
	return s
}

// With starts a server of the caller's own with some properties, one a line, merged into
// the tests' defaults: a value that begins with a comma is appended to the default. It
// ends with the test.
func With(t testing.TB, properties ...string) *Server {
	t.Helper()
	s, err := newServer(func(string) (string, []string, error) { return strings.Join(properties, "\n"), nil, nil })
	if err != nil {
		leaveOut(t, err)
	}
	t.Cleanup(s.remove)
	s.Start(t)
	return s
}

// FreeAddress returns an address of this machine where nobody listens, and that no other
// server is given while the test process runs (on Linux).
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort())
}

// Lasting is Own for a server of several tests: it ends with the test process.
func Lasting(t testing.TB) *Server {
	t.Helper()
	s, err := newServer(nil)
	if err != nil {
		leaveOut(t, err)
	}
	AtEnd(s.remove)
	return s
}

// Start starts the server, again after Kill, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal("Apache Kafka: ", err)
	}
}

// Kill ends the server as a crash does and returns when it is gone.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Signal(syscall.SIGKILL) // it may be gone already
		<-s.ended                             //nolint:errcheck // how a killed process ended is known
		s.process = nil
	}
}

// Signal sends a signal, such as SIGSTOP for a server that hangs.
func (s *Server) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := s.process.Signal(signal); err != nil {
		t.Fatal("Apache Kafka: ", err)
	}
}

func (s *Server) remove() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// newServer makes a server. more, which may be nil, returns additions to its properties
// and to the arguments of the format command.
func newServer(more func(dir string) (properties string, format []string, err error)) (*Server, error) {
	return serverWith(func(dir string, broker, controller int) (string, []string, error) {
		settings := fmt.Sprintf(properties, controller, broker, controller, broker, dir)
		if more == nil {
			return settings, nil, nil
		}
		added, format, err := more(dir)
		return merge(settings, added), format, err
	})
}

// serverWith returns a server with the properties that configure returns. format holds
// further arguments of the command that formats the storage.
func serverWith(configure func(dir string, broker, controller int) (properties string, format []string, err error)) (*Server, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errMissing{errors.New("no java: install a JDK (17 or later), then run .ci/kafka.sh")}
	}
	lib, err := tools("kafka", "lib")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(lib, "..", "complete")); err != nil {
		return nil, errMissing{errors.New("run .ci/kafka.sh, which fetches it with Maven")}
	}
	dir, err := os.MkdirTemp("", "archflow-kafka-")
	if err != nil {
		return nil, err
	}
	broker, controller := freePort(), freePort()
	s := &Server{
		Address: fmt.Sprintf("127.0.0.1:%d", broker), dir: dir,
		class: filepath.Join(lib, "*") + string(os.PathListSeparator) + dir,
	}
	settings, arguments, err := configure(dir, broker, controller)
	if err != nil {
		s.remove()
		return nil, err
	}
	files := map[string]string{
		"server.properties": settings,
		"log4j2.yaml":       logging,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.remove()
			return nil, err
		}
	}
	format := exec.Command(java, slices.Concat(frugal, []string{"-cp", s.class, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", filepath.Join(dir, "server.properties")}, arguments)...)
	if out, err := format.CombinedOutput(); err != nil {
		s.remove()
		return nil, fmt.Errorf("format: %w: %s", err, out)
	}
	return s, nil
}

func (s *Server) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await()
}

// launch starts the process.
func (s *Server) launch() error {
	s.output = new(bytes.Buffer)
	run := exec.Command("java", slices.Concat(frugal, []string{"-cp", s.class, "-Dlog4j2.configurationFile=" + filepath.Join(s.dir, "log4j2.yaml"), "kafka.Kafka", filepath.Join(s.dir, "server.properties")})...)
	run.Stdout, run.Stderr = s.output, s.output
	run.SysProcAttr = dieWithParent()
	started := make(chan error)
	s.ended = make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it.
		runtime.LockOSThread()
		err := run.Start()
		started <- err
		if err == nil {
			s.ended <- run.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process = run.Process
	return nil
}

// await returns when the server answers.
func (s *Server) await() error {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-s.ended:
			s.process = nil
			return fmt.Errorf("it ended: %w: %s", err, tail(s.output.String()))
		default:
		}
		if answers(s.Address) {
			return nil
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("no answer after 3 minutes: %s", tail(s.output.String()))
		}
	}
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// Folder is the server's own.
func (s *Server) Folder() string { return s.dir }

// tools returns a path in the folder .tools of the module that is being tested.
// Tests run in the folder of their package; the path of a source file would be
// lost under go test -trimpath.
func tools(elem ...string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir, ".tools"}, elem...)...), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}
