package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLintOfConfigurations: a finding for each fault, at its line, and a summary
// that counts files.
func TestLintOfConfigurations(t *testing.T) {
	for text, want := range map[string][]string{
		"a: 1\nb: 2\nc: 3\n":                        {":1: configuration: unknown key", ":2: ", ":3: ", "1 of 2 would be refused"},
		"group: g\ndata: x\n c: d\n - e\n":          {":2: configuration: not YAML: ", "1 of 2 would be refused"},
		"group: g\nencoder: [gin, mlp]\n":           {":2: configuration: encoder: gin, mlp are 2", "1 of 2 would be refused"},
		"sasl-user: u\nhttp: 127.0.0.1:99999\n":     {":2: configuration: http", ":1: configuration: sasl-user", "1 of 2 would be refused"},
		"tls: true\n":                               {":1: configuration: tls: no broker", "1 of 2 would be refused"},
		"brokers: a:1\ntls: true\nencoder: [gin]\n": {"2 checked, nothing wrong"},
	} {
		dir := t.TempDir()
		good, file := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "a.yaml")
		for name, content := range map[string]string{good: "group: g\n", file: text} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, found, said := typed(t.Context(), "lint", good, file)
		if lines := strings.Count(found, "\n"); lines != len(want)-1 {
			t.Errorf("%q: %d findings, want %d:\n%s", text, lines, len(want)-1, found)
		}
		for _, part := range want {
			if !strings.Contains(found+said, part) {
				t.Errorf("%q: %s%s, want %q", text, found, said, part)
			}
		}
	}
}
