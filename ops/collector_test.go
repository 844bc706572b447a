package ops

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// TestCollectorRelease checks that the configuration is read by the release
// that compose.yaml runs.
func TestCollectorRelease(t *testing.T) {
	compose, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`image: otel/opentelemetry-collector:(\S+)`).FindSubmatch(compose)
	if image == nil || !bytes.Contains(modules, []byte("go.opentelemetry.io/collector/otelcol v"+string(image[1])+"\n")) {
		t.Errorf("the image is %q; go.mod has another release of the collector", image)
	}
}

// collectorParts are those of the collector's core distribution that the
// configuration uses, in the release whose image compose.yaml names.
func collectorParts() (parts otelcol.Factories, err error) {
	parts.Telemetry = otelconftelemetry.NewFactory()
	if parts.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return parts, err
	}
	if parts.Processors, err = otelcol.MakeFactoryMap[processor.Factory](batchprocessor.NewFactory(), memorylimiterprocessor.NewFactory()); err != nil {
		return parts, err
	}
	parts.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](otlpexporter.NewFactory(), debugexporter.NewFactory())
	return parts, err
}

// loadCollector does the same as otelcol validate: it reads a configuration, strictly,
// has every part and the whole validated, and builds the pipelines without starting
// them. It returns the configuration.
func loadCollector(t *testing.T, text string) (*otelcol.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
		URIs: []string{"file:" + path}, ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
	}}
	parts, err := collectorParts()
	if err != nil {
		t.Fatal(err)
	}
	c, err := otelcol.NewCollector(otelcol.CollectorSettings{
		Factories: collectorParts, BuildInfo: component.NewDefaultBuildInfo(), ConfigProviderSettings: settings,
	})
	if err != nil {
		return nil, err
	}
	if err := c.DryRun(context.Background()); err != nil {
		return nil, err
	}
	provider, err := otelcol.NewConfigProvider(settings)
	if err != nil {
		return nil, err
	}
	return provider.Get(context.Background(), parts)
}

func TestCollectorConfig(t *testing.T) {
	text, err := os.ReadFile("compose/collector/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, err := loadCollector(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	used := map[component.ID]bool{}
	for _, p := range config.Service.Pipelines {
		for _, ids := range [][]component.ID{p.Receivers, p.Processors, p.Exporters} {
			for _, id := range ids {
				used[id] = true
			}
		}
	}
	for _, part := range []map[component.ID]component.Config{config.Receivers, config.Processors, config.Exporters} {
		for id := range part {
			if !used[id] {
				t.Errorf("%s is defined and not used", id)
			}
		}
	}
	parts, err := collectorParts()
	if err != nil {
		t.Fatal(err)
	}
	for id := range config.Exporters {
		if parts.Exporters[id.Type()].Type() != id.Type() {
			t.Errorf("%s goes by a name that will be dropped", id)
		}
	}

	for what, mistake := range map[string][2]string{
		"a key of a receiver":   {"endpoint: \"0.0.0.0:4317\"", "endpint: \"0.0.0.0:4317\""},
		"a key of a processor":  {"limit_mib: 200", "limit_mb: 200"},
		"a key of an exporter":  {"insecure: true", "insecur: true"},
		"a key of the service":  {"  telemetry:", "  telemetri:"},
		"a key of the metrics":  {"readers:", "reader:"},
		"a value out of range":  {"spike_limit_mib: 50", "spike_limit_mib: 500"},
		"a value of a type":     {"check_interval: 1s", "check_interval: soon"},
		"a part that is absent": {"exporters: [otlp_grpc/jaeger]", "exporters: [otlp_grpc/zipkin]"},
		"a part nobody has":     {"  batch: {}", "  bach: {}"},
		"no endpoint to go to":  {"endpoint: jaeger:4317", "endpoint: \"\""},
	} {
		t.Run(what, func(t *testing.T) {
			wrong := strings.Replace(string(text), mistake[0], mistake[1], 1)
			if wrong == string(text) {
				t.Fatalf("%q is not there to be mistaken", mistake[0])
			}
			_, err := loadCollector(t, wrong)
			if err == nil {
				t.Errorf("%q was taken", mistake[1])
			}
			t.Log(err)
		})
	}
}
