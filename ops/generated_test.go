package ops

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md and the dashboard from the table of metrics")

// TestGenerated fails when a file that is made from the table of metrics is
// stale; go generate ./ops writes it.
func TestGenerated(t *testing.T) {
	for path, want := range map[string][]byte{
		"../docs/metrics.md":                       metricsPage(),
		"compose/grafana/dashboards/archflow.json": dashboard(t),
	} {
		if *update {
			if err := os.WriteFile(filepath.FromSlash(path), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s does not match the table of metrics: run go generate ./ops", path)
		}
	}
}

// metricsPage is docs/metrics.md.
func metricsPage() []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

Generated from the table in ops/instruments.go by ` + "`go generate ./ops`" + `; do not edit.

Every process offers these on ` + "`/metrics`" + ` and, when OTEL_EXPORTER_OTLP_ENDPOINT is set,
over OTLP under the OpenTelemetry names. Histograms carry exemplars that lead to
a trace. The number of values of each attribute is bounded: what comes after the
first so many is counted under ` + "`other`" + `.

`)
	bounds := map[string]Attribute{}
	var order []string
	for _, group := range groups() {
		fmt.Fprintf(&b, "## %s\n\n| OpenTelemetry | Prometheus | kind | unit | attributes | meaning |\n|---|---|---|---|---|---|\n", group.title)
		for _, i := range group.rows {
			var names []string
			for _, a := range i.Attributes {
				names = append(names, "`"+a.Name+"`")
				if _, ok := bounds[a.Name]; !ok {
					bounds[a.Name] = a
					order = append(order, a.Name)
				}
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | `%s` | %s | %s |\n", i.Name, prometheusName(i), i.Kind, i.Unit, strings.Join(names, ", "), i.Meaning)
		}
		b.WriteString("\n")
	}
	b.WriteString("## Attributes\n\n| attribute | at most | values |\n|---|---|---|\n")
	for _, name := range order {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", name, bounds[name].Bound, bounds[name].Values)
	}
	return b.Bytes()
}

type group struct {
	title string
	rows  []Instrument
}

// groups cuts the table where the first word after archflow changes.
func groups() []group {
	titles := map[string]string{
		"stage": "Stages", "lag": "Lag and predictions", "prediction": "Lag and predictions", "predictions": "Lag and predictions", "dead_letters": "Lag and predictions",
		"sink": "Sinks", "table": "Sinks", "api": "HTTP API", "training": "Training and models", "model": "Training and models", "score": "Running scores", "ready": "Process",
	}
	var list []group
	for _, i := range table {
		title := "Process"
		if rest, ours := strings.CutPrefix(i.Name, "archflow."); ours {
			word, _, _ := strings.Cut(rest, ".")
			title = titles[word]
		}
		at := -1
		for k := range list {
			if list[k].title == title {
				at = k
			}
		}
		if at < 0 {
			list = append(list, group{title: title})
			at = len(list) - 1
		}
		list[at].rows = append(list[at].rows, i)
	}
	return list
}

type (
	object = map[string]any
	target struct{ expr, legend string }
)

// limits adds the lines at which the alerts begin to a panel.
func limits(title string, defaults object) object {
	begin := map[string][2]any{ // value, and whether values below it are bad
		"Oldest uncovered candidate":          {120, false},
		"Time to the prediction":              {10, false},
		"Kendall tau of candidates at random": {.3, true},
		"Labels inside their 90 % intervals":  {.8, true},
		"Age of the model":                    {86400, false},
	}
	at, ok := begin[title]
	if !ok {
		return defaults
	}
	colours := []string{"green", "red"}
	if at[1] == true {
		colours = []string{"red", "green"}
	}
	defaults["thresholds"] = object{"mode": "absolute", "steps": []object{{"color": colours[0], "value": nil}, {"color": colours[1], "value": at[0]}}}
	defaults["custom"].(object)["thresholdsStyle"] = object{"mode": "line"}
	return defaults
}

// dashboard is the Grafana dashboard: the most important panels first, then every metric
// of the table.
func dashboard(t *testing.T) []byte {
	t.Helper()
	var panels []object
	id, x, y := 0, 0, 0
	row := func(title string) {
		id++
		if x > 0 {
			x, y = 0, y+8
		}
		panels = append(panels, object{"id": id, "type": "row", "title": title, "collapsed": false, "gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}, "panels": []object{}})
		y++
	}
	panel := func(title, description, unit string, targets ...target) {
		id++
		var list []object
		for k, q := range targets {
			list = append(list, object{"refId": string(rune('A' + k)), "expr": q.expr, "legendFormat": q.legend, "exemplar": strings.Contains(q.expr, "_bucket")})
		}
		panels = append(panels, object{
			"id": id, "type": "timeseries", "title": title, "description": description,
			"datasource":  object{"type": "prometheus", "uid": "prometheus"},
			"fieldConfig": object{"defaults": limits(title, object{"unit": unit, "custom": object{"fillOpacity": 8, "showPoints": "never"}}), "overrides": []any{}},
			"options":     object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi"}},
			"gridPos":     object{"x": x, "y": y, "w": 8, "h": 8},
			"targets":     list,
		})
		if x += 8; x == 24 {
			x, y = 0, y+8
		}
	}
	where := `{instance=~"$instance"}`
	row("Is it up?")
	panel("Processes that answer", "Targets that Prometheus reaches, and processes that are ready.", "short",
		target{`count(up{job="archflow"} == 1)`, "answer"}, target{"sum(archflow_ready" + where + ")", "ready"})
	panel("Predictions a second", "", "ops", target{"sum by (space) (rate(archflow_predictions_total" + where[:len(where)-1] + `, space=~"$space"}[$__rate_interval]))`, "{{space}}"})
	panel("Refused and failed, a second", "Dead letters by class, and commits that failed.", "ops",
		target{"sum by (class) (rate(archflow_dead_letters_total" + where + "[$__rate_interval]))", "{{class}}"},
		target{"sum by (sink) (rate(archflow_sink_commit_failures_total" + where + "[$__rate_interval]))", "commits to {{sink}}"})
	row("Is it late?")
	panel("Oldest uncovered candidate", "", "s", target{"max by (topic) (archflow_lag_time_seconds" + where + ")", "{{topic}}"})
	panel("Messages behind", "", "short", target{"sum by (topic) (archflow_lag_messages" + where + ")", "{{topic}}"})
	panel("Time to the prediction", "", "s",
		target{"histogram_quantile(0.5, sum by (le) (rate(archflow_prediction_latency_seconds_bucket" + where + "[$__rate_interval])))", "half"},
		target{"histogram_quantile(0.99, sum by (le) (rate(archflow_prediction_latency_seconds_bucket" + where + "[$__rate_interval])))", "99 %"})
	row("Where?")
	for _, state := range []string{"busy", "blocked", "idle"} {
		panel("Share of time "+state, "The shares of a stage sum to one. The stage that is busy while the one before it is blocked is the bottleneck.", "percentunit",
			target{fmt.Sprintf(`sum by (stage) (rate(archflow_stage_time_seconds_total{instance=~"$instance", state="%s"}[$__rate_interval])) / sum by (stage) (rate(archflow_stage_time_seconds_total%s[$__rate_interval]))`, state, where), "{{stage}}"})
	}
	row("Does it learn?")
	ofTask, ofSpace := `{task=~"($space)/($task)"}`, `{space=~"$space"}`
	panel("Kendall tau of candidates at random", "Estimated from the labels that came, however a search chose them; two standard errors to each side.", "short",
		target{"max by (task) (archflow_score_tau_random" + ofTask + ")", "{{task}}"},
		target{"max by (task) (archflow_score_tau_random" + ofTask + " - 2 * archflow_score_tau_random_error" + ofTask + ")", "{{task}} at least"},
		target{"max by (task) (archflow_score_tau_random" + ofTask + " + 2 * archflow_score_tau_random_error" + ofTask + ")", "{{task}} at most"})
	panel("Labels inside their 90 % intervals", "", "percentunit", target{"max by (task) (archflow_score_coverage_ratio" + ofTask + ")", "{{task}}"})
	panel("Age of the model", "Promotions are marked in every panel.", "s", target{"max by (space) (archflow_model_age_seconds" + ofSpace + ")", "{{space}}"})
	panel("Labels a second", "", "ops", target{"sum by (task) (rate(archflow_training_labels_total" + ofTask + "[$__rate_interval]))", "{{task}}"})
	panel("Decisions", "What became of challengers, in the last hour.", "short", target{"sum by (space, decision) (increase(archflow_model_decisions_total" + ofSpace + "[1h]))", "{{space}} {{decision}}"})
	panel("Time of a fit, 99 %", "", "s", target{"histogram_quantile(0.99, sum by (le, space) (rate(archflow_training_finetune_duration_seconds_bucket" + ofSpace + "[$__rate_interval])))", "{{space}}"})
	for _, g := range groups() {
		title := g.title
		if len(title) > 1 && title[1] > 'Z' { // no abbreviation
			title = strings.ToLower(title[:1]) + title[1:]
		}
		row("All of " + title)
		for _, i := range g.rows {
			var by, legend []string
			filters := []string{`instance=~"$instance"`}
			for _, a := range i.Attributes {
				name := strings.ReplaceAll(a.Name, ".", "_")
				by, legend = append(by, name), append(legend, "{{"+name+"}}")
				switch name {
				case "space":
					filters = append(filters, `space=~"$space"`)
				case "task":
					filters = append(filters, `task=~"($space)/($task)"`)
				}
			}
			if len(by) == 0 {
				by, legend = []string{"instance"}, []string{"{{instance}}"}
			}
			unit := map[string]string{"s": "s", "By": "bytes", "%": "percent"}[i.Unit]
			if unit == "" {
				unit = "short"
			}
			names, words, series, where := strings.Join(by, ", "), strings.Join(legend, " "), prometheusName(i), "{"+strings.Join(filters, ", ")+"}"
			switch i.Kind {
			case Counter:
				if i.Unit == "s" {
					unit = "short"
				}
				panel(i.Name+", a second", i.Meaning, unit, target{fmt.Sprintf("sum by (%s) (rate(%s%s[$__rate_interval]))", names, series, where), words})
			case Gauge:
				panel(i.Name, i.Meaning, unit, target{fmt.Sprintf("max by (%s) (%s%s)", names, series, where), words})
			case Histogram:
				panel(i.Name+", 99 %", i.Meaning, unit, target{fmt.Sprintf("histogram_quantile(0.99, sum by (le, %s) (rate(%s_bucket%s[$__rate_interval])))", names, series, where), words})
			}
		}
	}
	source := object{"type": "prometheus", "uid": "prometheus"}
	variable := func(name, label, query, regex string) object {
		return object{
			"name": name, "type": "query", "label": label, "multi": true, "includeAll": true, "allValue": ".*", "datasource": source,
			"query": object{"query": query, "refId": name}, "regex": regex, "refresh": 2, "current": object{"text": "All", "value": "$__all"},
		}
	}
	text, err := json.MarshalIndent(object{
		"uid": "archflow", "title": "archflow", "tags": []string{"archflow"}, "schemaVersion": 41, "version": 1, "editable": false, "refresh": "5s",
		"time": object{"from": "now-15m", "to": "now"}, "timezone": "browser",
		"templating": object{"list": []object{
			variable("instance", "process", "label_values(archflow_ready, instance)", ""),
			variable("space", "space", "label_values(archflow_training_replay_size, space)", ""),
			variable("task", "task", "label_values(archflow_training_labels_total, task)", "/[^/]*\\/(.*)/"),
		}},
		"annotations": object{"list": []object{{
			"name": "Promotions", "enable": true, "iconColor": "blue", "datasource": source, "titleFormat": "{{space}}: a new model answers",
			"expr": `max by (space) (changes(archflow_model_version{space=~"$space"}[$__interval])) > 0`, "step": "15s",
		}}},
		"panels": panels,
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// prometheusName is the name on /metrics, where a histogram adds _bucket, _sum
// and _count to it.
func prometheusName(i Instrument) string {
	name := strings.ReplaceAll(i.Name, ".", "_")
	switch i.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	case "%":
		name += "_percent"
	case "1":
		if i.Kind == Gauge {
			name += "_ratio"
		}
	}
	if i.Kind == Counter {
		name += "_total"
	}
	return name
}
