//go:build unix

package sinks_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
)

var (
	yearDays    = flag.Int("days", 3, "days that TestYear writes")
	yearRows    = flag.Int64("rows", 3_000, "rows of them")
	yearCommits = flag.Int64("commits", 150, "commits of them")
	yearAt      = flag.String("at", "", "folder for the table of TestYear, which stays")
)

const (
	yearWriters    = 6
	yearPartitions = 2 // of each writer
)

// TestYear: six writers fill a table for days on end, in compressed time, through the
// sink of a run, with all of its maintenance. Every row is there once, and the cost of
// readers, files, log and memory on some days is printed as a table. make year does it
// for 365 days.
func TestYear(t *testing.T) {
	y := &year{t: t, dir: *yearAt, archs: yearArchs(), perDay: *yearCommits / int64(*yearDays), next: map[schemas.TopicPartition]int64{}}
	if y.dir == "" {
		y.dir = t.TempDir()
	}
	folder, err := sinks.OpenFolder(y.dir, func(*os.File) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	y.bucket = &agedBucket{folder, y}
	for range yearWriters {
		s, err := sinks.NewPredictionsTable(t.Context(), y.bucket, sinks.PredictionsTableConfig{Surrogates: true, TableConfig: sinks.TableConfig{
			Group: "g", Now: y.now, Conflict: func(string, string) { y.conflicts.Add(1) },
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		y.writers = append(y.writers, s)
	}
	for _, day := range []int{1, 30, 365, *yearDays} {
		if day <= *yearDays && int64(day)*y.perDay > y.commits.Load() {
			y.until(int64(day) * y.perDay)
			y.measure(day)
		}
	}
	if total := y.total(); !strings.HasPrefix(y.answers["one row an offset"], fmt.Sprintf("%d of %d ", total, total)) {
		t.Errorf("%d rows were written; the table has %q", total, y.answers["one row an offset"])
	}
	t.Logf("%d days, %d rows, %d commits by %d writers, %d conflicts", *yearDays, y.total(), *yearCommits, yearWriters, y.conflicts.Load())
}

// year is the world of TestYear.
type year struct {
	t         *testing.T
	dir       string
	bucket    sinks.Bucket
	writers   []*sinks.PredictionsTable
	archs     []yearArch
	perDay    int64 // commits
	commits   atomic.Int64
	conflicts atomic.Int64
	next      map[schemas.TopicPartition]int64
	answers   map[string]string
}

// yearBegin is long ago: a file has its real time for a moment, which must not be old.
var yearBegin = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// now is the time of the round of commits that is under way.
func (y *year) now() time.Time {
	return yearBegin.Add(time.Duration(y.commits.Load()) * (24 * time.Hour / time.Duration(y.perDay)))
}

// until commits until there are n commits. The writers commit at once and wait for each
// other then, because nobody may be at one commit for a day.
func (y *year) until(commits int64) {
	for round := 0; y.commits.Load() < commits; round++ {
		var group sync.WaitGroup
		for w := range min(yearWriters, commits-y.commits.Load()) {
			p := schemas.TopicPartition{Topic: "archflow.architectures", Number: int32(yearPartitions*int(w) + round%yearPartitions)}
			n := y.commits.Load() + w + 1
			first := y.next[p]
			y.next[p] = first + *yearRows*n / *yearCommits - *yearRows*(n-1) / *yearCommits
			batch := y.batch(rand.New(rand.NewPCG(uint64(n), 15)), p, first, y.next[p])
			group.Go(func() {
				s := y.writers[w]
				if err := errors.Join(s.Write(y.t.Context(), batch), s.Commit(y.t.Context())); err != nil {
					y.t.Error(err)
				}
			})
		}
		group.Wait()
		y.commits.Add(min(yearWriters, commits-y.commits.Load()))
		if y.t.Failed() {
			y.t.FailNow()
		}
	}
}

func (y *year) total() (rows int64) {
	for _, n := range y.next {
		rows += n
	}
	return rows
}

// yearArch is one of the 15,625 cells of nb201.
type yearArch struct {
	text    string
	ops     []schemas.Symbol
	id      schemas.ID
	proxies []float64
	flow    []float32
}

const yearProxies = 13

func yearArchs() []yearArch {
	names := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	archs := make([]yearArch, 15_625)
	random := rand.New(rand.NewPCG(20, 15))
	for i := range archs {
		a := &archs[i]
		var of [6]string
		for k, n := 0, i; k < 6; k, n = k+1, n/5 {
			of[k] = names[n%5]
		}
		a.text = fmt.Sprintf("|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|", of[0], of[1], of[2], of[3], of[4], of[5])
		a.ops = append(a.ops, schemas.MustIntern("input"))
		for _, op := range of {
			a.ops = append(a.ops, schemas.MustIntern(op))
		}
		a.ops = append(a.ops, schemas.MustIntern("output"))
		binary.LittleEndian.PutUint64(a.id[:8], random.Uint64())
		binary.LittleEndian.PutUint64(a.id[8:], random.Uint64())
		for range yearProxies {
			a.proxies = append(a.proxies, random.NormFloat64())
		}
		for range 7 {
			a.flow = append(a.flow, float32(random.NormFloat64()))
		}
	}
	return archs
}

var yearEdges = []int32{0, 1, 0, 2, 0, 4, 1, 3, 1, 5, 2, 6, 3, 6, 4, 7, 5, 7, 6, 7}

// batch makes answers of random cells.
func (y *year) batch(random *rand.Rand, p schemas.TopicPartition, first, next int64) *schemas.Batch {
	var c schemas.Candidates
	var s schemas.Surrogates
	var a schemas.Predictions
	s.Start, a.TaskStart, a.EmbeddingStart, c.ProxyStart = []int32{0}, []int32{0}, []int32{0}, []int32{0}
	space, task := schemas.MustIntern("nb201"), schemas.MustIntern("cifar10_test")
	at := y.now()
	day := int(at.Sub(yearBegin) / (24 * time.Hour))
	model := schemas.MustIntern(fmt.Sprint("nb201/", day+1))
	for o := first; o < next; o++ {
		arch := &y.archs[random.IntN(len(y.archs))]
		c.Append(o, at.UnixMilli(), nil, nil)
		c.ID.Append(fmt.Appendf(nil, "%d", 12*o+int64(p.Number)))
		c.Space = append(c.Space, space)
		c.Arch.Append([]byte(arch.text))
		c.Architecture, c.Network = append(c.Architecture, arch.id), append(c.Network, arch.id)
		graph := schemas.Graph{Ops: arch.ops, Edges: yearEdges}
		c.Graphs.Add(graph)
		c.Networks.Add(graph)
		for k, v := range arch.proxies {
			c.ProxyName, c.ProxyValue = append(c.ProxyName, schemas.MustIntern(fmt.Sprint("proxy", k))), append(c.ProxyValue, v)
		}
		c.ProxyStart = append(c.ProxyStart, int32(len(c.ProxyName)))
		c.Meta.Append(nil)
		s.Values = append(s.Values, arch.flow...)
		s.Start = append(s.Start, int32(len(s.Values)))
		v := arch.proxies[0] + math.Sin(float64(day)+arch.proxies[1])/8
		a.Time = append(a.Time, at.UnixMicro())
		a.Model, a.Reason = append(a.Model, model), append(a.Reason, schemas.NoSymbol)
		a.Task, a.Score, a.Value = append(a.Task, task), append(a.Score, v), append(a.Value, 90+v)
		a.Low, a.High, a.Percentile = append(a.Low, 89+v), append(a.High, 91+v), append(a.Percentile, 50+v)
		a.Top, a.Labels, a.SD, a.Fails = append(a.Top, v/100), append(a.Labels, float64(day)), append(a.SD, .3), append(a.Fails, math.NaN())
		a.TaskStart = append(a.TaskStart, int32(len(a.Task)))
		a.EmbeddingStart = append(a.EmbeddingStart, 0)
	}
	r := c.Record()
	rs := schemas.WithSurrogates(r, s)
	b := &schemas.Batch{TopicPartition: p, First: first, Next: next, End: next, Rows: schemas.WithPredictions(rs, a)}
	r.Release()
	rs.Release()
	return b
}

// measure runs the readers and adds their figures to the table.
func (y *year) measure(day int) {
	y.answers = map[string]string{}
	table := filepath.Join(y.dir, "predictions")
	var files, log int64
	var bytes, logBytes int64
	err := filepath.Walk(table, func(path string, info os.FileInfo, err error) error {
		switch {
		case err != nil || info.IsDir():
		case strings.Contains(path, "_delta_log"):
			log, logBytes = log+1, logBytes+info.Size()
		default:
			files, bytes = files+1, bytes+info.Size()
		}
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	live, err := sinks.TableFiles(y.t.Context(), y.bucket, "predictions")
	if err != nil {
		y.t.Fatal(err)
	}
	var liveBytes int64
	for _, f := range live {
		o, err := y.bucket.Stat(y.t.Context(), "predictions/"+f)
		if err != nil {
			y.t.Fatal(err)
		}
		liveBytes += o.Size
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		y.t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "| day %d | |\n|---|---|\n", day)
	line := func(what, value string) {
		y.answers[what] = value
		fmt.Fprintf(&text, "| %s | %s |\n", what, value)
	}
	rows := y.total()
	line("rows", fmt.Sprint(rows))
	line("files of the table", fmt.Sprintf("%d, %.1f MB, %.0f bytes a row", len(live), float64(liveBytes)/1e6, float64(liveBytes)/float64(rows)))
	line("with those kept for a day", fmt.Sprintf("%d, %.1f MB", files, float64(bytes)/1e6))
	line("log", fmt.Sprintf("%d files, %.1f MB", log, float64(logBytes)/1e6))
	line("six writers in one process", fmt.Sprintf("%d MB at the peak, %.0f s of processor time", usage.Maxrss>>10,
		time.Duration(usage.Utime.Nano()+usage.Stime.Nano()).Seconds()))
	for _, question := range []string{"open and count", "one row an offset", "one candidate", "best ten", "drift by day", "a day in Polars"} {
		var answer struct {
			Text     string
			CPU, RSS float64
		}
		needReaders(y.t)
		said, err := exec.CommandContext(y.t.Context(), "../.tools/venv/bin/python", "testdata/year.py", table, question, y.now().UTC().Format(time.DateOnly)).Output()
		if err == nil {
			err = json.Unmarshal(said, &answer)
		}
		if err != nil {
			y.t.Fatal(err)
		}
		line(question, fmt.Sprintf("%s (%.2f s, %.0f MB)", answer.Text, answer.CPU, answer.RSS))
	}
	y.t.Log("\n" + text.String())
}

// agedBucket gives written objects the time of the year.
type agedBucket struct {
	sinks.Bucket
	year *year
}

func (b *agedBucket) Write(ctx context.Context, key string, data []byte) error {
	return b.aged(key, b.Bucket.Write(ctx, key, data))
}

func (b *agedBucket) Create(ctx context.Context, key string, data []byte) error {
	return b.aged(key, b.Bucket.Create(ctx, key, data))
}

func (b *agedBucket) aged(key string, err error) error {
	if err != nil {
		return err
	}
	now := b.year.now()
	return os.Chtimes(filepath.Join(b.year.dir, filepath.FromSlash(key)), now, now)
}
