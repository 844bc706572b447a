package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// needed returns the path of a program. Where it is missing the test fails with
// CI=true, and is left out elsewhere with a line that says how to get it.
func needed(t *testing.T, path, how string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", path, how)
	}
	if err != nil {
		t.Skipf("left out, %s is missing: %s", path, how)
	}
	return found
}

// beside starts a program that runs until the test ends.
func beside(t *testing.T, program string, args ...string) *os.Process {
	t.Helper()
	var said text
	command := exec.Command(program, args...)
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It is stopped or running; either way it goes.
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, lastLines(said.String(), 10))
		}
	})
	return command.Process
}

// TestEndToEndAlerts lets Prometheus scrape a running archflow with the rules
// that ship, minutes as seconds. The object store of its table hangs: the sink
// stalls, answers back up and lag grows. Both alerts fire, and clear when the
// store goes on.
func TestEndToEndAlerts(t *testing.T) {
	prometheus := needed(t, "prometheus", "apt-get install prometheus")
	gateway := needed(t, "../../.tools/bin/versitygw", "sh .ci/s3.sh builds it")
	in := install(t, "")
	page := in.listen()

	buckets, address := t.TempDir(), kafkatest.FreeAddress(t)
	if err := os.Mkdir(filepath.Join(buckets, "tables"), 0o755); err != nil {
		t.Fatal(err)
	}
	store := beside(t, gateway, "--access", "user", "--secret", "password", "--port", address, "--quiet", "posix", "--sidecar", t.TempDir(), buckets)
	in.env = append(in.env, "AWS_ACCESS_KEY_ID=user", "AWS_SECRET_ACCESS_KEY=password", "AWS_EC2_METADATA_DISABLED=true")
	in.set("TABLE", "s3://tables?region=us-east-1&use_path_style=true&endpoint=http://"+address)
	until(t, "the object store listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})

	folder := t.TempDir()
	rules, err := os.ReadFile("../../ops/compose/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, short := range map[string]string{`for: \w+`: "for: 1s", `\[\w+\]`: "[6s]", `lag_time_seconds\) > 120`: "lag_time_seconds) > 4"} {
		if !regexp.MustCompile(pattern).Match(rules) {
			t.Fatalf("the rules have no %s", pattern)
		}
		rules = regexp.MustCompile(pattern).ReplaceAll(rules, []byte(short))
	}
	for name, body := range map[string]string{"alerts.yml": string(rules), "prometheus.yml": fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs: [{job_name: archflow, static_configs: [{targets: [%q]}]}]
`, page)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	watcher := kafkatest.FreeAddress(t)

	run := in.start("run")
	run.says("msg=ready")
	beside(t, prometheus, "--config.file", filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", watcher)
	await := func(what string, done func(firing []string) bool) {
		t.Helper()
		var last []string
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
			firing, err := firingAt(watcher)
			if last = firing; err == nil && done(firing) {
				t.Logf("%s: firing are %v", what, firing)
				return
			}
		}
		t.Fatalf("%s: firing are %v", what, last)
	}
	in.ok("publish", "candidates", benchmark)
	await("all is well", func(firing []string) bool { return len(firing) == 0 })

	if err := store.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat([]string{benchmark}, 40) // far more than is held before answers back up
	in.ok(append([]string{"publish", "candidates"}, many...)...)
	await("the store hangs", func(firing []string) bool {
		return slices.Contains(firing, "ArchflowStageStalled") && slices.Contains(firing, "ArchflowLag")
	})
	if err := store.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await("the store goes on", func(firing []string) bool { return len(firing) == 0 })
	run.signal(syscall.SIGTERM)
	if status := run.wait(patience); status != 0 {
		t.Errorf("the run ended with status %d", status)
	}
}

// firingAt asks Prometheus which alerts fire.
func firingAt(address string) ([]string, error) {
	answer, err := http.Get("http://" + address + "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var got struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		return nil, err
	}
	var names []string
	for _, a := range got.Data.Alerts {
		if a.State == "firing" && !slices.Contains(names, a.Labels["alertname"]) {
			names = append(names, a.Labels["alertname"])
		}
	}
	slices.Sort(names)
	return names, nil
}
