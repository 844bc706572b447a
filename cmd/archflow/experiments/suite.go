package experiments

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"archflow/cmd/archflow/console"
	"archflow/encoders"
	"archflow/encoders/experiment"
	"archflow/encoders/flow"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
)

// suiteResult is the outcome of a suite, for programs.
type suiteResult struct {
	Suite  string        `json:"suite"`
	Rows   []suiteRow    `json:"rows"`
	Spread []suiteSpread `json:"spread,omitempty"`
}

// suiteRow is a row of a suite on one table.
type suiteRow struct {
	Data     string `json:"data"`
	Label    string `json:"label"`
	Encoder  string `json:"encoder"`
	Pretrain string `json:"pretrain"`
	experiment.Row
	Train int                `json:"train"` // labels
	Runs  []experiment.Run   `json:"runs"`
	Mean  experiment.Summary `json:"mean"`
	SD    experiment.Summary `json:"sd"`
}

// suiteSpread is how much the random draw of the surrogate changes the means of
// the rows of a group.
type suiteSpread struct {
	Data  string             `json:"data"`
	Group string             `json:"group"`
	Draws int                `json:"draws"`
	SD    experiment.Summary `json:"sd"`
}

// suite measures every row of a suite on every table.
func (x Options) suite(ctx context.Context, std console.Streams, c *Settings) error {
	if x.Suite == "stability" {
		return x.stability(std.Out, c.JSON)
	}
	for _, group := range x.Only {
		if !slices.Contains(experiment.Groups(), group) {
			return cli.Refuse(fmt.Errorf("group %.40q is unknown: the ablation has %s", group, strings.Join(experiment.Groups(), ", ")))
		}
	}
	tables, err := x.tables()
	if err != nil {
		return err
	}
	done, err := openSuiteRuns(x.Resume)
	if err != nil {
		return err
	}
	defer done.Close()
	result := suiteResult{Suite: x.Suite}
	bar := progress.NewStatus(std.Err)
	for _, x.Table = range tables {
		if err := x.suiteOn(ctx, std.In, c, done, bar, &result); err != nil {
			return err
		}
		if ctx.Err() != nil {
			bar.End()
			fmt.Fprintf(std.Err, "archflow: stopped after %d runs; %s\n", done.added, x.goOn())
			return nil
		}
	}
	result.spreads()
	if err := x.files(result.csv, result.plot); err != nil {
		return err
	}
	if c.JSON {
		return finite.Encode(std.Out, result)
	}
	return result.print(std.Out)
}

// tables returns the files of the data, a folder's benchmarks of the paper.
func (x Options) tables() ([]string, error) {
	var files []string
	for _, name := range x.Data {
		info, err := os.Stat(name)
		if err != nil || !info.IsDir() {
			files = append(files, name)
			continue
		}
		found, err := filepath.Glob(filepath.Join(name, "nb[123]01.*"))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, cli.Refuse(fmt.Errorf("suite %s: no table; name files, or a folder that holds nb101, nb201 or nb301 as JSON Lines, CSV or Parquet", x.Suite))
	}
	return files, nil
}

// suiteOn measures every row on x.Table. It returns without an error when ctx
// ends.
func (x Options) suiteOn(ctx context.Context, in io.Reader, c *Settings, done *suiteRuns, bar *progress.Status, result *suiteResult) error {
	table, label, sum, err := x.read(in, c)
	if err != nil {
		return err
	}
	base := x.config(c)
	base.Predictor, base.Student = experiment.Published, false
	rows := experiment.Ablation(base, x.Only)
	if x.Suite == "paper" {
		rows = experiment.Paper(base, or(c.Encoder, encoders.Names), or(x.Pretrain, experiment.Pretrainings), x.Share)
	}
	for from := 0; from < len(rows) && ctx.Err() == nil; {
		to := from + 1
		for to < len(rows) && sameConfig(rows[from], rows[to]) {
			to++
		}
		e, err := experiment.New(table, rows[from].Config)
		if err != nil {
			return cli.Refuse(fmt.Errorf("%s, %s: %w", rows[from].Group, rows[from].Name, err))
		}
		measured, err := x.suiteRows(ctx, e, table, rows[from:to], runsOf(sum, label, x.Goal, x.measured(), x.Proxy, e.Config()), done, bar)
		if err != nil || ctx.Err() != nil {
			return err
		}
		for i := range measured {
			r := &measured[i]
			r.Data, r.Label = filepath.Base(x.Table), label
			r.Encoder, r.Pretrain = e.Config().Encoder, e.Config().Pretrain
			r.Mean, r.SD = experiment.Summarise(r.Runs)
		}
		result.Rows = append(result.Rows, measured...)
		from = to
	}
	return nil
}

// suiteRows measures rows of one configuration, a seed after the other, so that
// all of a seed share its pre-trained encoder.
func (x Options) suiteRows(ctx context.Context, e *experiment.Experiment, table *experiment.Table, rows []experiment.Row, key string, done *suiteRuns, bar *progress.Status) ([]suiteRow, error) {
	measured, splits := make([]suiteRow, len(rows)), make([][]experiment.Split, len(rows))
	for i, row := range rows {
		var err error
		if splits[i], err = x.suiteSplits(table, row.Share); err != nil {
			return nil, err
		}
		measured[i] = suiteRow{Row: row, Train: len(splits[i][0].Train)}
	}
	for s := 0; s < len(splits[0]); {
		seed, next := splits[0][s].Seed, s
		for next < len(splits[0]) && splits[0][next].Seed == seed {
			next++
		}
		for i := range rows {
			for _, split := range splits[i][s:next] {
				run, ok := done.find(key, split)
				if !ok {
					what := fmt.Sprintf("%s: %s, %s, seed %d", filepath.Base(x.Table), rows[i].Group, rows[i].Name, seed)
					e.Report = func(stage string, part float64) { bar.Show(fmt.Sprintf("%s: %s %.0f %%", what, stage, 100*part)) }
					var err error
					run, err = e.Run(ctx, split)
					if ctx.Err() != nil {
						return nil, nil //nolint:nilerr // it was asked to stop
					}
					if err != nil {
						return nil, fmt.Errorf("%s: %w", what, err)
					}
					if err := done.add(key, split, run); err != nil {
						return nil, err
					}
					bar.Say(fmt.Sprintf("%s: tau %.3f, precision at 1 %% %.1f %%, %.0f s", what, run.Tau, 100*run.P1, run.Seconds))
				}
				measured[i].Runs = append(measured[i].Runs, run)
			}
		}
		s = next
	}
	return measured, nil
}

// suiteSplits returns the splits of a row: those of a file, or random ones.
func (x Options) suiteSplits(table *experiment.Table, share float64) ([]experiment.Split, error) {
	if share == 0 || x.Splits != "" {
		return x.draw(table)
	}
	return x.drawSized(table, experiment.SharedSizes(table, share))
}

// spreads fills in how much the seed of the surrogate changes the figures.
func (r *suiteResult) spreads() {
	for from := 0; from < len(r.Rows); {
		to := from + 1
		for to < len(r.Rows) && r.Rows[to].Data == r.Rows[from].Data && r.Rows[to].Group == r.Rows[from].Group {
			to++
		}
		if first := r.Rows[from]; first.Config.FlowSeed != 0 && to-from > 1 {
			var runs [][]experiment.Run
			for _, row := range r.Rows[from:to] {
				runs = append(runs, row.Runs)
			}
			r.Spread = append(r.Spread, suiteSpread{first.Data, first.Group, to - from, experiment.Spread(runs)})
		}
		from = to
	}
}

// sameConfig says that two rows differ in their labels alone.
func sameConfig(a, b experiment.Row) bool {
	return a.Share != 0 && b.Share != 0 && a.Config.Encoder == b.Config.Encoder && a.Config.Pretrain == b.Config.Pretrain
}

// or returns the values, or what there is without any.
func or(values, otherwise []string) []string {
	if len(values) == 0 {
		return otherwise
	}
	return values
}

// stabilitySizes are the nodes of the graphs of suite stability.
var stabilitySizes = []int{10, 20, 50, 100, 200, 500, 1000, 2000}

// stability measures surrogates of growing graphs.
func (x Options) stability(out io.Writer, forPrograms bool) error {
	k := x.K
	if k == 0 {
		k = 7
	}
	var figures []experiment.Stability
	for _, std := range []float64{.1, 1} {
		lines := append([]experiment.NamedVariant{{Name: "published"}}, experiment.Stable...)
		for _, v := range lines {
			figures = append(figures, experiment.MeasureStability(v, flow.Config{K: k, Std: std, Seed: uint64(only32(x.Seeds))}, stabilitySizes)...)
		}
	}
	if err := x.files(func(w io.Writer) error { return stabilityCSV(w, figures) }, func(w io.Writer) error { return stabilityPlot(w, figures) }); err != nil {
		return err
	}
	if forPrograms {
		return finite.Encode(out, figures)
	}
	return stabilityText(out, figures)
}

// only32 returns the first seed, 1 without any.
func only32(seeds []uint32) uint32 {
	if len(seeds) == 0 {
		return 1
	}
	return seeds[0]
}
