package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"archflow/internal/kafka/kafkatest"
)

// readmeProgram returns the Python program of the README that has a word in it.
func readmeProgram(t *testing.T, word string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```python\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], word) {
			return m[1]
		}
	}
	t.Fatalf("the README has no Python program with %q", word)
	return ""
}

// interpret runs a program with the Python of the tests and returns its output;
// ok is false where there is no Python and CI is not set.
func interpret(t *testing.T, program string, env ...string) (out string, ok bool) {
	t.Helper()
	interpreter, err := filepath.Abs("../../.tools/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(interpreter); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("Python is missing; sh .ci/python.sh makes it")
		}
		t.Log("left out: sh .ci/python.sh makes the Python of the tests")
		return "", false
	}
	c := exec.CommandContext(t.Context(), interpreter, "-c", program)
	c.Dir, c.Env = t.TempDir(), append(os.Environ(), env...)
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said), true
}

// TestEndToEndReadmeKafka: the README's ten lines join the broker inside.
func TestEndToEndReadmeKafka(t *testing.T) {
	in := install(t, "")
	in.set("TOPIC_PREFIX", "archflow.")
	address := kafkatest.FreeAddress(t)
	in.start("run", "--broker-listen", address).says("msg=ready")
	program := readmeProgram(t, "confluent_kafka")
	if n := len(strings.FieldsFunc(strings.TrimSpace(program), func(r rune) bool { return r == '\n' })); n > 10 {
		t.Errorf("the program has %d lines", n)
	}
	out, ok := interpret(t, strings.ReplaceAll(program, "127.0.0.1:9092", address))
	if ok && !strings.Contains(out, `"space":"dag"`) {
		t.Errorf("it printed %s", out)
	}
}

// TestEndToEndReadmeSearch: the README's twenty lines find a good cell.
func TestEndToEndReadmeSearch(t *testing.T) {
	client, err := filepath.Abs("../../clients/python/src")
	if err != nil {
		t.Fatal(err)
	}
	out, ok := interpret(t, readmeProgram(t, "archflow.start("), "PYTHONPATH="+client, "ARCHFLOW_BINARY="+archflow(t))
	if lines := strings.Split(strings.TrimSpace(out), "\n"); ok && (len(lines) != 5 || !strings.Contains(lines[0], "nor_conv_3x3")) {
		t.Errorf("it printed %s", out)
	}
}

// TestEndToEndCurl: the calls of docs/api.md are answered as written there.
func TestEndToEndCurl(t *testing.T) {
	needed(t, "curl", "apt-get install curl")
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(text), "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	in := install(t, "")
	in.set("TOPIC_PREFIX", "archflow.")
	address := in.listen()
	in.start("run").says("msg=ready")
	c := exec.CommandContext(t.Context(), "sh", "-euc", strings.ReplaceAll(strings.ReplaceAll(script, "127.0.0.1:8099", address), "curl -sS ", "curl -sS -w '\\n%{http_code}\\n' "))
	c.Dir = "../.."
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	statuses := regexp.MustCompile(`(?m)^\d{3}$`).FindAllString(string(said), -1)
	// The front needs a second task, which the samples do not have.
	if got := strings.Join(statuses, " "); got != "200 200 200 200 200 200 404 200" || !strings.Contains(string(said), `{"published":24,"through":{"archflow.labels/0":24}}`) || !strings.Contains(string(said), `"decision":`) {
		t.Errorf("%s\n%s", got, said)
	}
}
