package sinks_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestReadersOnS3: on an object store readers see the rows of a table of the first
// version after its repair, of one that goes on from it through compactions, and of the
// rest after vacuum and clean-up of the log, with the answers to filters of each kind on
// every column.
func TestReadersOnS3(t *testing.T) {
	location, err := url.Parse(sinks.S3Server(t)())
	if err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(map[string]string{
		"AWS_ENDPOINT_URL": location.Query().Get("endpoint"), "AWS_REGION": location.Query().Get("region"), "AWS_ALLOW_HTTP": "true",
		"AWS_ACCESS_KEY_ID": os.Getenv("AWS_ACCESS_KEY_ID"), "AWS_SECRET_ACCESS_KEY": os.Getenv("AWS_SECRET_ACCESS_KEY"),
	})
	if err != nil {
		t.Fatal(err)
	}
	table := "s3://" + location.Host + location.Path + "/predictions"
	b := openBucket(t, location.String())
	earlier := os.DirFS("testdata/earlier")
	err = fs.WalkDir(earlier, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(earlier, path)
		if err != nil {
			return err
		}
		return b.Write(context.Background(), path, body)
	})
	if err != nil {
		t.Fatal(err)
	}
	one := schemas.TopicPartition{Topic: "one"}
	want := nulledLater(wantPredictions(sinktest.Batch(one, 0, 30)))
	look := func(rows []map[string]any) {
		t.Helper()
		compareReaders(t, readEverywhere(t, table, "2026-01-02", 20, string(options)), plainJSON(t, rows), "2026-01-02", 20, nil)
	}
	if done, err := sinks.Maintain(t.Context(), b, "predictions", sinks.Upkeep{Rewrite: true}); err != nil || done.Rewritten == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	afterClaim := func() time.Time { return time.Now().Add(5 * time.Minute) } // of Maintain
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g", Now: afterClaim}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	look(want)
	before := filesOf(t, b, "")
	want = append(want, appendPairs(t, s, one, 30, 60)...)
	want = append(want, appendPairs(t, s, schemas.TopicPartition{Topic: "two"}, 24, 48)...) // of one day
	look(want)
	if after := filesOf(t, b, ""); len(after) > len(before)+16 {
		t.Errorf("%d files, and after 27 commits %d", len(before), len(after))
	}
	later := func() time.Time { return time.Now().Add(40 * time.Hour) }
	done, err := sinks.Maintain(t.Context(), b, "predictions", sinks.Upkeep{Now: later, Check: true})
	if err != nil || done.Vacuumed == 0 || done.Cleaned == 0 || done.Doubled > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	look(want)
	wantFilters(t, table, string(options))
}
