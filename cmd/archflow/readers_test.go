package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"archflow/cmd/archflow/console"
	"archflow/internal/kafka/kafkatest"
)

// TestReadersMakeNothing: a command that only reads, or changes existing tables, refuses a
// place that is not there with the name of that place and the setting that names
// another, and makes neither folder nor topic.
func TestReadersMakeNothing(t *testing.T) {
	for _, args := range [][]string{
		{"read", "predictions"}, {"read", "trials", "--from", "start", "--exit-at-end"}, {"explain", "6111"},
		{"maintain"}, {"maintain", "--refill"}, {"rescore"}, {"replay", "dead-letters"}, {"replay", "dead-letters", "--dry-run"},
	} {
		home := t.TempDir()
		data := filepath.Join(home, "absent")
		status, out, said := typed(t.Context(), append(args, "--data", data)...)
		if status != console.ExitFailed || !strings.Contains(said, data) || !strings.Contains(said, "--data") {
			t.Errorf("%v: status %d, %s%s", args, status, out, said)
		}
		if made := everything(t, home); made != nil {
			t.Errorf("%v makes %q", args, made)
		}
	}
}

// TestReadersMakeNothingElsewhere: with a broker whose topics are absent, and a folder
// that is empty.
func TestReadersMakeNothingElsewhere(t *testing.T) {
	address := kafkatest.Fake(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"read", "predictions"}, "archflow.predictions"}, {[]string{"read", "trials"}, "archflow.trials"},
		{[]string{"replay", "dead-letters", "--dry-run"}, "archflow."}, {[]string{"explain", "6111"}, "6111"},
		{[]string{"maintain"}, "--table"}, {[]string{"rescore"}, "--table"}, {[]string{"doctor", "--http", "off"}, ""},
		{[]string{"lint", "--config", ""}, ""}, {[]string{"top", "--http", "127.0.0.1:1"}, ""}, {[]string{"tap", "source", "--http", "127.0.0.1:1"}, ""},
	} {
		home := t.TempDir()
		if err := os.Mkdir(filepath.Join(home, "tables"), 0o755); err != nil {
			t.Fatal(err)
		}
		status, out, said := typed(t.Context(), append(c.args, "--brokers", address, "--data", home)...)
		if c.says != "" && (status != console.ExitFailed || !strings.Contains(said, c.says)) {
			t.Errorf("%v: status %d, %s%s", c.args, status, out, said)
		}
		if made := everything(t, home); !slices.Equal(made, []string{"tables"}) {
			t.Errorf("%v makes %q", c.args, made)
		}
	}
	have, err := kafkatest.Client(t, address).Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil || len(have.Topics) > 0 {
		t.Errorf("topics were made: %v, %v", have, err)
	}
}

// everything lists the files below a folder.
func everything(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if path != folder {
			names = append(names, strings.TrimPrefix(path, folder+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
