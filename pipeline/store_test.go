package pipeline

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
)

func folder(t *testing.T) sinks.Bucket {
	t.Helper()
	b, err := sinks.OpenBucket(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestRegistryFences: of two trainers the one that publishes second on the same
// version learns that it was replaced, goes on after it has looked, and workers
// see every version.
func TestRegistryFences(t *testing.T) {
	ctx, store := t.Context(), folder(t)
	open := func() *Registry {
		r, err := OpenRegistry(ctx, store)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first, second, worker := open(), open(), open()
	publish := func(r *Registry, space, task string) error {
		_, err := r.Publish(ctx, SpaceManifest{Space: space, Waiting: map[string]string{task: "too few labels"}}, nil)
		return err
	}
	if err := publish(first, "nb201", "a"); err != nil {
		t.Fatal(err)
	}
	if err := publish(second, "nb201", "b"); !errors.Is(err, ErrReplaced) {
		t.Fatalf("the second trainer was not told: %v", err)
	}
	if err := second.Refresh(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := publish(second, "micro", "c"); err != nil {
		t.Fatal(err)
	}
	if err := publish(first, "nb201", "d"); !errors.Is(err, ErrReplaced) {
		t.Errorf("the first trainer was not told: %v", err)
	}
	if err := worker.Refresh(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if m := worker.Manifest(); m.Version != 2 || len(m.Spaces) != 2 || m.Spaces["nb201"].Registry != 1 || m.Spaces["micro"].Registry != 2 {
		t.Errorf("the worker sees %+v", m)
	}
	for version, spaces := range map[int64]int{schemas.NewestRegistry: 2, 0: 0, 1: 1, 2: 2} {
		g, err := worker.ModelSet(ctx, version)
		if err != nil || len(g.Spaces) != spaces {
			t.Errorf("version %d: %+v, %v", version, g, err)
		}
	}
	if _, err := worker.ModelSet(ctx, 9); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("a version that is not there: %v", err)
	}
	if err := store.Write(ctx, registryKey(3), []byte("{torn")); err != nil {
		t.Fatal(err)
	}
	if err := worker.Refresh(ctx, 0); err != nil || !strings.Contains(worker.Damage(), "damaged") {
		t.Errorf("a torn version: %v, %q", err, worker.Damage())
	}
	if g, err := worker.ModelSet(ctx, schemas.NewestRegistry); err != nil || g.Version != 2 {
		t.Errorf("after a torn version it answers with %+v, %v", g, err)
	}
}

// TestConfigValidate names every wrong key at once.
func TestConfigValidate(t *testing.T) {
	good := func() Config {
		return Config{
			Group: "g", Data: "d", Partitions: 4, TableInterval: 5e9, TableRows: 1, MaxNodes: 1, MaxMessageBytes: 2048, FirstLabels: 16,
			LabelGrowth: .25, TrainShare: .25, Width: 16, Layers: 1, Buffer: 100, WaitLabels: 1, Session: 10e9, Checkpoint: 60e9, Delivery: "exactly-once", HTTP: "off",
		}
	}
	c := good()
	if err := c.Validate(); err != nil || !reflect.DeepEqual(c, good()) {
		t.Fatalf("%v, or it has changed %+v", err, c)
	}
	if c.TablePlace() != filepath.Join("d", "tables") || c.StorePlace() != filepath.Join("d", "store") {
		t.Errorf("by default table %s, store %s", c.TablePlace(), c.StorePlace())
	}
	for key, spoil := range map[string]func(*Config){
		"brokers":           func(c *Config) { c.Brokers = []string{"a:1", "b"} },
		"topic-prefix":      func(c *Config) { c.TopicPrefix = "a/b" },
		"group":             func(c *Config) { c.Group = "a/b" },
		"data":              func(c *Config) { c.Data = "" },
		"partitions":        func(c *Config) { c.Partitions = 0 },
		"table-interval":    func(c *Config) { c.TableInterval = 1 },
		"table-rows":        func(c *Config) { c.TableRows = 0 },
		"max-nodes":         func(c *Config) { c.MaxNodes = -1 },
		"max-message-bytes": func(c *Config) { c.MaxMessageBytes = 10 },
		"first-labels":      func(c *Config) { c.FirstLabels = 1 },
		"label-growth":      func(c *Config) { c.LabelGrowth = 0 },
		"train-share":       func(c *Config) { c.TrainShare = 1.5 },
		"width":             func(c *Config) { c.Width = 1 },
		"layers":            func(c *Config) { c.Layers = 65 },
		"encoder":           func(c *Config) { c.Encoder = []string{"gin", "abacus"} },
		"epochs":            func(c *Config) { c.Epochs = -1 },
		"buffer":            func(c *Config) { c.Buffer = 1 },
		"remember":          func(c *Config) { c.Remember = -1 },
		"wait-labels":       func(c *Config) { c.WaitLabels = 0 },
		"checkpoint":        func(c *Config) { c.Checkpoint = 1 },
		"tls-cert":          func(c *Config) { c.TLSCert = "x" },
		"sasl":              func(c *Config) { c.SASL = "plain" },
		"table":             func(c *Config) { c.Table = "ftp://x/y" },
		"store":             func(c *Config) { c.Store = "ftp://x/y" },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key, spoil := range map[string]func(*Config){
		"tls: no broker":         func(c *Config) { c.TLS = true },
		"tls-ca: no broker":      func(c *Config) { c.TLSCA = "x" },
		"tls-cert: no broker":    func(c *Config) { c.TLSCert, c.TLSKey, c.BrokerListen = "x", "y", "127.0.0.1:9092" },
		"sasl: no broker":        func(c *Config) { c.SASL, c.SASLUser, c.SASLPassword = "plain", "u", "p" },
		"sasl-user: ":            func(c *Config) { c.SASLUser = "u" },
		"sasl-password-file: bo": func(c *Config) { c.SASLPassword, c.SASLPasswordFile = "p", "f" },
		"65535":                  func(c *Config) { c.HTTP = "127.0.0.1:99999" },
		"broker-listen: ":        func(c *Config) { c.BrokerListen = "127.0.0.1:99999" },
		"no bucket":              func(c *Config) { c.Table = "s3://" },
		"no folder":              func(c *Config) { c.Store = "file://" },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for what, change := range map[string]func(*Config){
		"TLS and a user of named brokers": func(c *Config) {
			c.Brokers, c.TLS, c.TLSCA, c.SASL, c.SASLUser, c.SASLPasswordFile = []string{"a:1"}, true, "x", "plain", "u", "f"
		},
		"the user of an open broker": func(c *Config) {
			c.BrokerListen, c.SASL, c.SASLUser, c.SASLPassword = ":9092", "plain", "u", "p"
		},
		"a password that is in the environment": func(c *Config) { c.SASLPassword = "p" },
		"any port":                              func(c *Config) { c.HTTP = "127.0.0.1:0" },
		"places":                                func(c *Config) { c.Table, c.Store = "s3://b?region=r", "file:///f" },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	c = good()
	c.Width, c.Partitions = 7, 0
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "width") || !strings.Contains(err.Error(), "partitions") {
		t.Errorf("two wrong keys: %v", err)
	}
}

// An encoder has its published size unless the settings name another.
func TestEncoderOfSettings(t *testing.T) {
	for want, c := range map[string]Config{
		"resgated 128 3":    {},
		"gin 128 3":         {Encoder: []string{"gin"}},
		"flowerformer 64 9": {Encoder: []string{"flowerformer"}},
		"flowerformer 32 9": {Encoder: []string{"flowerformer"}, Width: 32},
		"mlp 128 5":         {Encoder: []string{"mlp"}, Layers: 5},
	} {
		name, width, layers := c.encoder()
		if got := fmt.Sprint(name, " ", width, layers); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if !strings.Contains(c.learning(), fmt.Sprintf("encoder=%s width=%d layers=%d ", name, width, layers)) {
			t.Errorf("%s: the journal has %s", want, c.learning())
		}
	}
}
