package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parse reads a configuration file's text, the environment and arguments as a
// start does.
func parseText(t *testing.T, text string, args ...string) (commands, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archflow.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var c commands
	_, _, err := c.parse(append([]string{"version"}, args...), path)
	return c, err
}

// TestSettings: a flag goes over the environment, which goes over the file,
// which goes over the default; keys may be nested and lists.
func TestSettings(t *testing.T) {
	const text = `
# a comment
group: from-file
partitions: 7
width: 32
encoder: gin
brokers: [a:1, b:2]
table_interval: 2s
tls: {ca: ca.pem}
sasl:
  user: me
`
	t.Setenv("ARCHFLOW_PARTITIONS", "8")
	t.Setenv("ARCHFLOW_WIDTH", "64")
	c, err := parseText(t, text, "--width", "128")
	if err != nil {
		t.Fatal(err)
	}
	if c.Group != "from-file" || c.Partitions != 8 || c.Width != 128 || c.Layers != 0 || strings.Join(c.Encoder, " ") != "gin" || strings.Join(c.Brokers, " ") != "a:1 b:2" ||
		c.TableInterval.Seconds() != 2 || c.TLSCA != "ca.pem" || c.SASLUser != "me" {
		t.Errorf("%+v", c.Config)
	}
	if c, err := parseText(t, ""); err != nil || c.Group != "archflow" {
		t.Errorf("an empty file: %+v, %v", c.Config, err)
	}
}

// TestWrongSettings: an error names the line of the wrong value.
func TestWrongSettings(t *testing.T) {
	for text, want := range map[string][]string{
		"group: g\ngrupo: h\n":                     {"archflow.yaml:2:", `unknown key "grupo"`, `did you mean "group"`},
		"a: 1\nb: 2\n":                             {"archflow.yaml:1:", "archflow.yaml:2:"},
		"tls:\n  cert: x\n  cart: y\n":             {"archflow.yaml:3:", `"tls-cart"`, `"tls-cert"`},
		"help: true\n":                             {"unknown key"},
		"- a\n- b\n":                               {"archflow.yaml:1:", "key: value"},
		"group: g\n---\ngroup: h\n":                {"2 YAML documents"},
		"group: [\n":                               {"not YAML"},
		"\n\npartitions: many\n":                   {"archflow.yaml:3:", "many"},
		"group: g\nrole: boss\n":                   {"archflow.yaml:2:", "boss", "worker"},
		"group: g\nepochs: -1\ntrain-share: 0\n":   {"archflow.yaml:2: epochs", "archflow.yaml:3: train-share"},
		"group: g\ntable-interval: five minutes\n": {"archflow.yaml:2:", "five minutes"},
	} {
		_, err := parseText(t, text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %q", text, err, part)
			}
		}
	}
}
