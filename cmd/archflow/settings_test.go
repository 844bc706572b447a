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
  password: secret
`
	t.Setenv("ARCHFLOW_PARTITIONS", "8")
	t.Setenv("ARCHFLOW_WIDTH", "64")
	c, err := parseText(t, text, "--width", "128", "--sasl", "plain")
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

// TestFormsOfText: however YAML lets one write a text, the setting is the text.
func TestFormsOfText(t *testing.T) {
	for text, want := range map[string]string{
		"data: |\n  /tmp/x\n":                            "/tmp/x",
		"data: |\r\n  /tmp/x\r\n":                        "/tmp/x",
		"data: |+\n  /tmp/x\n\n\n":                       "/tmp/x",
		"data: >-\n  /tmp/x\n":                           "/tmp/x",
		"data: >\n  /tmp/\n  x\n":                        "/tmp/ x",
		"data: !!str /tmp/x\n":                           "/tmp/x",
		"data: !!str 0x10\n":                             "0x10",
		"data: !!str |\n  /tmp/x\n":                      "/tmp/x",
		"topic_prefix: &a x\ndata: *a\n":                 "x",
		"topic-prefix: &a |\n  x\ndata: *a\n":            "x",
		"topic-prefix: &a x\ntopic: {}\ndata: *a\n":      "x",
		"http-host: [&a x, *a]\ndata: *a\n":              "x",
		"\"data\": /x\n":                                 "/x",
		"'data': /x\n":                                   "/x",
		"? data\n: /x\n":                                 "/x",
		"!!str data: /x\n":                               "/x",
		"&k data: /x\n":                                  "/x",
		"group: &k data\n*k : /x\n":                      "/x",
		"data: \"a\\tb\"\n":                              "a\tb",
		"data: '*a'\n":                                   "*a",
		"data: 1_000\n":                                  "1_000",
		"data: true\n":                                   "true",
		"--- !!map\ndata: x\n":                           "x",
		"data: >-\n  *a\n":                               "*a",
		"&top\ndata: x\n":                                "x",
		"http-host: !!seq [a]\ndata: x\n":                "x",
		"data: |\n  x # no comment\npartitions: 5 # c\n": "x # no comment",
	} {
		c, err := parseText(t, text)
		if err != nil || c.Data != want {
			t.Errorf("%q: %q, %v, want %q", text, c.Data, err, want)
		}
	}
	c, err := parseText(t, "http-host:\n- |\n  a\n- !!str b\n- &c c\n- *c\n- \"d\"\nsasl: plain\nsasl-user: me\nbrokers: &b [a:1]\nsasl-password: |\n  secret\n")
	if err != nil || strings.Join(c.HTTPHost, " ") != "a b c c d" || c.SASLPassword != "secret" {
		t.Errorf("%q %q, %v", c.HTTPHost, c.SASLPassword, err)
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
		"group: g\ntls: true\n":                    {"archflow.yaml:2: tls: no broker", "brokers"},
		"sasl-user: me\n":                          {"archflow.yaml:1: sasl-user", "scram-sha-256"},
		"group: [\n":                               {"archflow.yaml:1: not YAML"},
		"group: g\nencoder: |\n  gin\n  mlp\n":     {"archflow.yaml:2:", "several lines"},
		"group: g\ndata: !!binary aGk=\n":          {"archflow.yaml:2:", "!!binary", "leave it out"},
		"group: g\ndata: !!str [a]\n":              {"archflow.yaml:2:", "not YAML"},
		"group: g\ndata: *a\n":                     {"archflow.yaml:2:", "*a", "quote"},
		"tls: &t {ca: x}\nsasl: *t\n":              {"archflow.yaml:2:", "*t", "write the keys"},
		"tls: &t {ca: x}\n<<: *t\n":                {"archflow.yaml:2:", "<<", "write the keys"},
		"group: g\nencoder: [[gin]]\n":             {"archflow.yaml:2:", "single values"},
		"group: g\nencoder:\n- gin\n-\n":           {"archflow.yaml:4:", "leave it out"},
		"encoder: &a [*a]\n":                       {"archflow.yaml:1:", "single values"},
		"topic-prefix: a\ntopic_prefix: b\n":       {"archflow.yaml:2:", "archflow.yaml:1", "leave one"},
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
