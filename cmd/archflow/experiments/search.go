package experiments

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/search"
	"archflow/encoders"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/input"
	"archflow/internal/progress"
	"archflow/pipeline"
)

// tableOf identifies a table.
type tableOf struct {
	Table string `json:"table"`         // its name and size
	Sum   string `json:"sum,omitempty"` // a hash of the file; older runs lack it
}

// replayOf identifies a replayed search, whose result depends on nothing else.
type replayOf struct {
	tableOf
	Space    string `json:"space"`
	Task     string `json:"task"`
	Goal     string `json:"goal"`
	Strategy string `json:"strategy"`
	Seed     uint64 `json:"seed"`
	Budget   int    `json:"budget"`
	Batch    int    `json:"batch"`
	Learner  string `json:"learner"`
}

// replayRun is a replayed search and how far the best found was from the best of
// the table after each trial.
type replayRun struct {
	replayOf
	Regret  []float64 `json:"regret"`
	Seconds float64   `json:"seconds"`
}

// searchSuite is the outcome of suite search, for programs.
type searchSuite struct {
	Suite string           `json:"suite"`
	Rows  []searchSuiteRow `json:"rows"`
	Runs  []replayRun      `json:"runs"`
	at    []int            // numbers of trials that are compared
}

// searchSuiteRow is a strategy on a table: mean and standard deviation over seeds
// of the regret, by number of trials.
type searchSuiteRow struct {
	Data     string             `json:"data"`
	Task     string             `json:"task"`
	Strategy string             `json:"strategy"`
	Seeds    int                `json:"seeds"`
	Regret   map[string]float64 `json:"regret"`
	SD       map[string]float64 `json:"sd"`
	Seconds  float64            `json:"seconds"` // of a search

	// TrialsToAlone is after how many trials reinforce is as good as reinforce-alone
	// at its end.
	TrialsToAlone int `json:"trials_to_reinforce_alone,omitempty"`

	table tableOf
	runs  []replayRun
}

// searches measures every strategy with every seed on every table.
func (x Options) searches(ctx context.Context, std console.Streams, c *Settings) error {
	if x.Budget < 1 || x.Batch < 1 || x.Searches < 1 {
		return cli.Refuse(fmt.Errorf("budget %d, batch %d and searches %d: each is at least 1", x.Budget, x.Batch, x.Searches))
	}
	names := or(x.Strategy, search.StrategiesFor(x.Label))
	for _, name := range names {
		if !slices.Contains(search.Strategies, name) {
			return cli.Refuse(fmt.Errorf("strategy %.40q is unknown; choose %s", name, strings.Join(search.Strategies, ", ")))
		}
		if !slices.Contains(search.StrategiesFor(x.Label), name) {
			return cli.Refuse(fmt.Errorf("strategy %s is for one label, --label has several; choose %s", name, strings.Join(search.StrategiesFor(x.Label), ", ")))
		}
	}
	tables, err := x.tables()
	if err != nil {
		return err
	}
	done, err := openReplays(x.Resume)
	if err != nil {
		return err
	}
	defer done.Close()
	result := searchSuite{Suite: x.Suite}
	for n := 50; n <= x.Budget; n += 50 {
		result.at = append(result.at, n)
	}
	if len(result.at) == 0 {
		result.at = []int{x.Budget}
	}
	bar := progress.NewStatus(std.Err)
	for _, table := range tables {
		replay, of, err := x.replay(std.In, c, table)
		if err != nil {
			return err
		}
		for seed := range uint64(x.Searches) { // so that all strategies have some when it is stopped
			for _, of.Strategy = range names {
				of.Seed = seed + 1
				run, ok := done.find(of)
				if !ok {
					bar.Show(fmt.Sprintf("%s: %s, search %d of %d", filepath.Base(table), of.Strategy, seed+1, x.Searches))
					if run, err = measure(ctx, replay, of); err != nil {
						if ctx.Err() != nil {
							bar.End()
							fmt.Fprintf(std.Err, "archflow: stopped after %d searches; %s\n", done.added, x.goOn())
							return nil
						}
						return fmt.Errorf("%s, %s: %w", table, of.Strategy, err)
					}
					if err := done.add(run); err != nil {
						return err
					}
				}
				bar.Say(fmt.Sprintf("%s: %s, search %d: regret %s, %.0f s", filepath.Base(table), of.Strategy, seed+1, regrets(run.Regret, result.at), run.Seconds))
				result.Runs = append(result.Runs, run)
			}
		}
	}
	result.summarise()
	if err := x.files(result.csv, result.plot); err != nil {
		return err
	}
	if c.JSON {
		return finite.Encode(std.Out, result)
	}
	return result.print(std.Out)
}

// replay returns the replay of a table, and the identity of its runs without strategy
// and seed.
func (x Options) replay(in io.Reader, c *Settings, table string) (*search.Replay, replayOf, error) {
	space, labels, err := firstRow(table, in)
	if err != nil {
		return nil, replayOf{}, err
	}
	task := x.Label
	if task == "" {
		task = labels[0]
	}
	identity, err := identify(table)
	if err != nil {
		return nil, replayOf{}, err
	}
	replay, err := search.NewReplay(search.Options{Space: space, Task: task, Goal: x.Goal, Budget: x.Budget, Batch: x.Batch}, table, c.Config, in)
	if err != nil {
		return nil, replayOf{}, err
	}
	return replay, replayOf{
		tableOf: identity, Space: space, Task: task, Goal: x.Goal, Budget: x.Budget, Batch: x.Batch, Learner: learnerOf(c.Config),
	}, nil
}

// identify reads a table and returns its identity.
func identify(table string) (tableOf, error) {
	file, err := os.Open(table)
	if err != nil {
		return tableOf{}, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return tableOf{}, err
	}
	return tableOf{fmt.Sprintf("%s %d", filepath.Base(table), size), hex.EncodeToString(hash.Sum(nil)[:16])}, nil
}

// learnerOf names the settings of the pipeline on which a replay depends. Those that
// older runs do not name appear only where they are not as usual, so that these runs are
// found again; that they were made with the usual ones is taken for granted.
func learnerOf(c *pipeline.Config) string {
	encoder := or(c.Encoder, encoders.Names)[0]
	width, layers := encoders.DefaultSize(encoder)
	text := fmt.Sprintf("%s seed %d, epochs %d, first labels %d, buffer %d", c.Predictor, c.Seed, c.Epochs, c.FirstLabels, c.Buffer)
	for _, setting := range []struct {
		name         string
		value, usual any
	}{
		{"encoder", encoder, encoders.Names[0]},
		{"width", cmp.Or(c.Width, width), width},
		{"layers", cmp.Or(c.Layers, layers), layers},
		{"remember", c.Remember, 200000},
		{"wait labels", c.WaitLabels, 100000},
		{"label growth", c.LabelGrowth, .25},
		{"spaces", c.Spaces, 64},
		{"max nodes", c.MaxNodes, 2000},
		{"max message bytes", c.MaxMessageBytes, 1 << 20},
	} {
		if setting.value != setting.usual {
			text += fmt.Sprintf(", %s %v", setting.name, setting.value)
		}
	}
	return text
}

// firstRow returns the space and the names of the labels of a table's first row.
func firstRow(table string, in io.Reader) (space string, labels []string, err error) {
	enough := errors.New("enough")
	err = input.EachLine([]string{table}, in, 1<<20, func(file string, number int, line []byte) error {
		var row struct {
			Space  string
			Labels json.RawMessage
		}
		if err := json.Unmarshal(finite.AsNull(line), &row); err != nil {
			return fmt.Errorf("%s:%d: not a row of a benchmark table: %w", file, number, err)
		}
		d := json.NewDecoder(bytes.NewReader(row.Labels))
		for space = row.Space; ; {
			token, err := d.Token()
			if err != nil {
				break
			}
			if name, ok := token.(string); ok {
				labels = append(labels, name)
			}
		}
		return enough
	})
	if errors.Is(err, enough) {
		err = nil
	}
	if err == nil && (space == "" || len(labels) == 0) {
		err = cli.Refuse(fmt.Errorf("%s: its first row has no space or no labels", table))
	}
	return space, labels, err
}

// measure runs one search.
func measure(ctx context.Context, replay *search.Replay, of replayOf) (replayRun, error) {
	began := time.Now()
	regret, err := replay.Run(ctx, of.Strategy, of.Seed)
	if err != nil {
		return replayRun{}, err
	}
	return replayRun{replayOf: of, Regret: regret, Seconds: time.Since(began).Seconds()}, nil
}

// regrets writes the regret after some numbers of trials.
func regrets(all []float64, at []int) string {
	var parts []string
	for _, n := range at {
		if n <= len(all) {
			parts = append(parts, fmt.Sprintf("%.3g", all[n-1]))
		}
	}
	return strings.Join(parts, " / ")
}

// replays are the searches that a file of --resume holds.
type replays struct {
	runs  []replayRun
	file  *os.File
	added int
}

func openReplays(name string) (*replays, error) {
	r := &replays{}
	if name == "" {
		return r, nil
	}
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := 0
	for number := 1; ; number++ {
		line, _, found := bytes.Cut(text[whole:], []byte("\n"))
		if !found {
			break // the end, or a torn line
		}
		var run replayRun
		if err := json.Unmarshal(line, &run); err != nil || run.Strategy == "" {
			return nil, cli.Refuse(fmt.Errorf("resume: %s:%d is not a search of this suite; name another file", name, number))
		}
		r.runs = append(r.runs, run)
		whole += len(line) + 1
	}
	if r.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	_, seekErr := r.file.Seek(int64(whole), io.SeekStart)
	if err := errors.Join(r.file.Truncate(int64(whole)), seekErr); err != nil {
		r.Close()
		return nil, fmt.Errorf("resume: %w", err)
	}
	return r, nil
}

// find returns a finished search: with the hash of its table, or else an older one, which
// counts for every table of the name and size.
func (r *replays) find(of replayOf) (replayRun, bool) {
	older := of
	older.Sum = ""
	for _, key := range []replayOf{of, older} {
		if at := slices.IndexFunc(r.runs, func(run replayRun) bool { return run.replayOf == key }); at >= 0 {
			run := r.runs[at]
			run.replayOf = of
			return run, true
		}
	}
	return replayRun{}, false
}

func (r *replays) add(run replayRun) error {
	r.added++
	return appendLine(r.file, run)
}

// Close closes the file.
func (r *replays) Close() {
	if r.file != nil {
		_ = r.file.Close() // each line was written as it came
	}
}
