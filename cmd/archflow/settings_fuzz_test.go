package main

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzConfiguration: any file is a configuration or refused.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte("group: g\npartitions: 7\nbrokers: [a:1, b:2]\ntls: {ca: ca.pem}\nsasl:\n  user: me\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? [x]\n: y\n"))
	path := filepath.Join(f.TempDir(), "archflow.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var c commands
		parser, err := newParser(&c)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = loadSettings(parser, path) // it returns
	})
}
