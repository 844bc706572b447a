package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// TestAlertsFireAndClear lets a real Prometheus scrape a process whose sink
// hangs and whose lag is large, waits for the alerts, cures both and waits for
// the alerts to go. The rules are those that ship, with minutes as seconds.
func TestAlertsFireAndClear(t *testing.T) {
	program, ok := need(t, "apt-get install prometheus", "prometheus")
	if !ok {
		return
	}
	tel := start(t, Options{})
	_, url := serve(t, func(o *ServerOptions) { o.Scrape = tel.Scrape() })
	m := tel.Metrics
	m.Ready(true)
	worker := m.Stage("predictions").Worker()
	worker.Busy() // and nothing more: it hangs
	m.Lag("archflow.architectures", 0, 90_000, 5*time.Minute)

	folder := t.TempDir()
	rules, err := os.ReadFile("compose/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules = regexp.MustCompile(`for: \w+`).ReplaceAll(rules, []byte("for: 1s"))
	rules = regexp.MustCompile(`\[\w+\]`).ReplaceAll(rules, []byte("[6s]"))
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("alerts.yml", string(rules))
	config := write("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: archflow
    static_configs: [{targets: ["%s"]}]
`, strings.TrimPrefix(url, "http://")))
	address := kafkatest.FreeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	var log bytes.Buffer
	command := exec.CommandContext(ctx, program, "--config.file", config, "--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", address)
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		// The test has ended it.
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()

	firing := func() []string {
		answer, err := http.Get("http://" + address + "/api/v1/alerts")
		if err != nil {
			return []string{"unknown: Prometheus does not answer"}
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
		if json.NewDecoder(answer.Body).Decode(&got) != nil {
			return []string{"unknown: Prometheus answers no JSON"}
		}
		var names []string
		for _, a := range got.Data.Alerts {
			if a.State == "firing" {
				names = append(names, a.Labels["alertname"])
			}
		}
		slices.Sort(names)
		return names
	}
	wait := func(what string, done func([]string) bool) {
		t.Helper()
		var last []string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			if last = firing(); done(last) {
				return
			}
		}
		t.Fatalf("%s: firing are %v", what, last)
	}
	wait("a hanging sink and lag", func(names []string) bool { return slices.Equal(names, []string{"ArchflowLag", "ArchflowStageStalled"}) })
	m.Lag("archflow.architectures", 0, 0, 0)
	worker.Done(context.Background(), 10, 10)
	worker.Idle()
	wait("after the cure", func(names []string) bool { return len(names) == 0 })
}
