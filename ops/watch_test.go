package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/goccy/go-yaml"
)

// known is every name of a series or a label that /metrics can offer.
func known() map[string]bool {
	names := map[string]bool{}
	for _, i := range table {
		for _, a := range i.Attributes {
			names[strings.ReplaceAll(a.Name, ".", "_")] = true
		}
		names[prometheusName(i)] = true
		if i.Kind == Histogram {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				names[prometheusName(i)+part] = true
			}
		}
	}
	return names
}

var seriesName = regexp.MustCompile(`\b(?:archflow|go)_[a-z0-9_]+`)

// strangers returns the series of a query that the table does not know.
func strangers(query string) (list []string) {
	names := known()
	for _, name := range seriesName.FindAllString(query, -1) {
		if !names[name] {
			list = append(list, name)
		}
	}
	return list
}

func TestStrangersAreFound(t *testing.T) {
	if got := strangers(`rate(archflow_stage_rows_in_total[5m]) / archflow_stage_rows_total`); fmt.Sprint(got) != "[archflow_stage_rows_total]" {
		t.Errorf("got %v", got)
	}
}

func TestDashboardAsksForKnownMetrics(t *testing.T) {
	text, err := os.ReadFile("compose/grafana/dashboards/archflow.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			for _, name := range strangers(q.Expr) {
				t.Errorf("panel %q asks for %s, which the table does not have", p.Title, name)
			}
			for _, name := range seriesName.FindAllString(q.Expr, -1) {
				asked[strings.TrimSuffix(name, "_bucket")] = true
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, i := range table {
		if !asked[prometheusName(i)] {
			t.Errorf("no panel shows %s", i.Name)
		}
	}
}

type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

func readYAML(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestAlertsLeadSomewhere checks that every alert asks for metrics that exist,
// has a section in the runbook, and is tested both ways.
func TestAlertsLeadSomewhere(t *testing.T) {
	var rules alertRules
	readYAML(t, "compose/prometheus/alerts.yml", &rules)
	runbook, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("compose/prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			for _, name := range strangers(r.Expr) {
				t.Errorf("%s asks for %s, which the table does not have", r.Alert, name)
			}
			if !strings.Contains(string(runbook), "\n### "+r.Alert+"\n") {
				t.Errorf("docs/operations.md has no section %s", r.Alert)
			}
			if want := `{{ or $externalLabels.runbooks "docs/operations.md" }}#` + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
			}
			if r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
				t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
			}
			if !strings.Contains(string(tests), "alertname: "+r.Alert+"\n        exp_alerts:") || !strings.Contains(string(tests), "alertname: "+r.Alert+"}") {
				t.Errorf("%s is not tested both firing and silent", r.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("no alerts")
	}
}

func TestPromtool(t *testing.T) {
	promtool, ok := need(t, "apt-get install prometheus", "promtool")
	if !ok {
		return
	}
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"},
		{"test", "rules", "alerts_test.yml"},
		{"check", "config", "--syntax-only", "prometheus.yml"},
	} {
		command := exec.Command(promtool, args...)
		command.Dir = "compose/prometheus"
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	t.Run("what is scraped", func(t *testing.T) {
		tel := start(t, Options{Version: "test"})
		everything(tel.Metrics)
		command := exec.Command(promtool, "check", "metrics")
		text := strings.ReplaceAll(scrapeAs(t, tel, "text/plain"), "# EOF\n", "")
		command.Stdin = strings.NewReader(text)
		// Its style advice on names that OpenTelemetry prescribes is no failure.
		if out, err := command.CombinedOutput(); err != nil && strings.Contains(string(out), "error while linting") {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	})
}

// TestCompose loads compose.yaml with the library that docker compose uses.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithWorkingDirectory(".."), cli.WithEnv([]string{"ARCHFLOW_HTTP_TOKEN=secret"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka", "trainer", "worker", "collector", "jaeger", "prometheus", "grafana", "s3", "publisher"} {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("service %s is missing", name)
		}
	}
	for name, s := range project.Services {
		if at := strings.LastIndex(s.Image, ":"); at < 0 || strings.HasSuffix(s.Image, ":latest") {
			t.Errorf("%s: the image %q is not pinned", name, s.Image)
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
			t.Errorf("%s has no memory limit", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, port.Published)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != "bind" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
		if s.Build != nil && (!s.ReadOnly || s.User != "65534:65534") {
			t.Errorf("%s may write its file system or runs as root", name)
		}
	}
	// Traces go to where the collector listens, and from there to Jaeger.
	if endpoint := project.Services["worker"].Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; endpoint == nil || *endpoint != "http://collector:4318" {
		t.Errorf("the worker sends traces to %v", endpoint)
	}
}

// TestComposeHasNoTokenOfItsOwn: whoever starts it chooses the token.
func TestComposeHasNoTokenOfItsOwn(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithWorkingDirectory(".."), cli.WithEnv([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "ARCHFLOW_HTTP_TOKEN") {
		t.Errorf("without a token it says %v", err)
	}
}
