// Package experiments measures predictors on benchmark tables by the paper's protocol:
// one predictor, or a suite, which is a table of many.
package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"archflow/cmd/archflow/console"
	"archflow/encoders/experiment"
	"archflow/encoders/experiment/tables"
	"archflow/encoders/flow"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/pipeline"
)

// Options are the flags of the command.
type Options struct {
	Data  []string `arg:"" name:"data" optional:"" help:"Benchmark table: JSON Lines (.gz and .zst too; - for standard input), .csv or .parquet. For a suite several, or a folder with nb101, nb201 and nb301."`
	Table string   `cli:"-"` // the one that is read

	Label          string    `help:"What to predict: one of the labels of the table; without it the first." placeholder:"NAME"`
	Goal           string    `default:"max" help:"min where less of the label is better; suite search: one for each of several labels."`
	Of             string    `name:"of" enum:"network,architecture" default:"network" help:"What the label measures: the network, without operations that no path from input to output goes through, or the architecture as given, as latency does."`
	Train          int       `help:"Labels to train on; without it the paper's for its spaces, 1 % of the rows for others." placeholder:"N"`
	Validate       int       `default:"-1" help:"Labels to validate on; without it 40. The best predictor trains on them too." placeholder:"N"`
	Pretrain       []string  `help:"What the encoder learns before it sees labels: none, flow, proxy, fgp (the default), which is both, or another pretext: graphcl, arch2vec, gmae; for a suite several, without it all." placeholder:"NAME"`
	Proxy          []string  `help:"Zero-cost proxies to use, or none; without it all that a fifth of the architectures carry. Columns of a CSV or Parquet table." placeholder:"NAME"`
	Seeds          []uint32  `default:"21,2021,202121" help:"Seeds of the splits and of everything random in their runs."`
	Permutations   int       `default:"3" help:"Splits of each seed."`
	FinetuneEpochs int       `help:"Epochs of fine-tuning; without it the paper's: 500 for nb201, 300 for nb301, 200 for others." placeholder:"N"`
	Splits         string    `help:"File with a list of {seed, train, validate, test} to use instead, as row numbers from 0." placeholder:"FILE"`
	K              int       `help:"Length of the flow surrogate; without it the space's." placeholder:"N"`
	Std            float64   `help:"Standard deviation of the surrogate's random weights; without it the space's." placeholder:"X"`
	Rounds         int       `default:"1" help:"Rounds of passing of the surrogate, 1 to 5."`
	Direction      string    `enum:"both,forward,backward" default:"both" help:"Passes of a round: forward and then backward (both), forward or backward."`
	Gather         string    `enum:"sum,mean,max,degree" default:"sum" help:"How a node puts its neighbours' states together: sum, mean, max, or degree, a sum that is normalised by degrees."`
	Pool           string    `enum:"ends,sum,mean,max,last,attention" default:"ends" help:"Which states are the surrogate: the sum over the nodes where the last pass ends (ends) or where the graph does (last); sum, mean, max or attention over all nodes."`
	Scale          string    `enum:"none,state,generation,log" default:"none" help:"What keeps the surrogate in range: nothing (none), states of unit size (state), generations of unit size (generation), or its asinh (log)."`
	Draws          int       `default:"1" help:"Independent random surrogates that are learnt side by side."`
	FlowSeed       uint64    `help:"Seed of the surrogate's random weights; without it the seed of the split." placeholder:"N"`
	FlowWeight     float64   `default:"0.5" help:"Weight of the surrogate's loss beside that of the proxies, which is 0.5."`
	Standardise    bool      `help:"Standardise every dimension of the surrogate before it is learnt; the best predictor always does."`
	Prune          bool      `negatable:"" default:"true" help:"Encode what lies on a path from input to output instead of the graph as given; the best predictor always does."`
	Merge          bool      `negatable:"" default:"true" help:"Equal networks share their proxies and, when pruned, are one; for the best predictor they always are."`
	Published      bool      `help:"Predictor fgp with every choice of the paper's code: its draw of the surrogate, graphs as given, sizes, permutations."`
	Student        bool      `negatable:"" default:"true" help:"Distil the best predictor into the encoder and measure that too."`
	Lower          string    `help:"Another label of the table, of a cheaper training, that helps. The best predictor only." placeholder:"NAME"`
	LowerTrain     int       `default:"500" help:"Rows that have it." placeholder:"N"`
	Corrupt        string    `help:"Spoil some of the labels that train: how many or what share and a value or a factor, such as 6=300, 1*100, 10%*0.01; 6! takes them away as failed. The best predictor only." placeholder:"TEXT"`
	Suite          string    `enum:",paper,ablation,stability,search,figures" default:"" help:"Measure a whole table instead: paper (encoders x pre-training x labels), ablation (one change of the surrogate after another), stability (surrogates of graphs of up to 2,000 nodes, without data), search (strategies of archflow search x seeds) or figures (a table of files that --resume kept, or of a folder of them)." placeholder:"NAME"`
	Share          []float64 `default:"1,5,10,50" help:"Suite paper: percent of the pool of labels that train."`
	Only           []string  `help:"Suite ablation: groups of rows to measure; without it all." placeholder:"GROUP"`
	Strategy       []string  `help:"Suite search: strategies to compare; without it all." placeholder:"NAME"`
	Searches       int       `default:"10" help:"Suite search: searches of each strategy, with seeds from 1."`
	Budget         int       `default:"150" help:"Suite search: trials of a search."`
	Batch          int       `default:"10" help:"Suite search: trials at a time."`
	CSV            string    `name:"csv" help:"Write a row for each run here." placeholder:"FILE"`
	Plot           string    `help:"Draw the runs here, as SVG." placeholder:"FILE"`
	Resume         string    `help:"Keep finished runs here, and go on from those that it holds." placeholder:"FILE"`
}

// Settings are those of the pipeline, and how to print.
type Settings struct {
	*pipeline.Config
	IsSet func(flag string) bool // whether the user set a flag of the pipeline
	JSON  bool
}

// Result is the outcome, for programs.
type Result struct {
	Data        string                  `json:"data"`
	Label       string                  `json:"label"`
	Predictor   string                  `json:"predictor"`
	Encoder     string                  `json:"encoder"`
	Pretrain    string                  `json:"pretrain"`
	Runs        []experiment.Run        `json:"runs"`
	Mean        experiment.Summary      `json:"mean"`
	SD          experiment.Summary      `json:"sd"`
	Student     *Students               `json:"student,omitempty"`
	Uncertainty *experiment.Uncertainty `json:"uncertainty,omitempty"`
}

// Students are the distilled encoders of the runs.
type Students struct {
	Mean experiment.Summary `json:"mean"`
	SD   experiment.Summary `json:"sd"`
}

// Run measures a predictor on a benchmark table.
func (x Options) Run(ctx context.Context, std console.Streams, c *Settings) error {
	if x.Suite != "search" && x.Goal != "max" && x.Goal != "min" {
		return cli.Refuse(fmt.Errorf("goal %.40q: write max or min", x.Goal))
	}
	for _, file := range []struct{ flag, name string }{{"csv", x.CSV}, {"plot", x.Plot}, {"resume", x.Resume}} {
		if info, err := os.Stat(file.name); err == nil && info.IsDir() {
			return cli.Refuse(fmt.Errorf("--%s %s is a folder: name a file in it", file.flag, file.name))
		}
	}
	switch x.Suite {
	case "":
	case "search":
		return x.searches(ctx, std, c)
	case "figures":
		return x.figures(std.Out)
	default:
		return x.suite(ctx, std, c)
	}
	if len(x.Data) != 1 || len(c.Encoder) > 1 || len(x.Pretrain) > 1 {
		return cli.Refuse(fmt.Errorf("%d tables, %d encoders and %d kinds of pre-training: give one table and at most one of the others, or --suite", len(x.Data), len(c.Encoder), len(x.Pretrain)))
	}
	if c.IsSet("predictor") && x.Published && c.Predictor != experiment.Published {
		return cli.Refuse(fmt.Errorf("--published measures predictor fgp, not %.40q: leave one of the two out", c.Predictor))
	}
	x.Table = x.Data[0]
	table, label, sum, err := x.read(std.In, c)
	if err != nil {
		return err
	}
	e, err := experiment.New(table, x.config(c))
	if err != nil {
		return cli.Refuse(err)
	}
	splits, err := x.draw(table)
	if err != nil {
		return err
	}
	state, err := openRuns(x.Resume, resumeHead{
		Table: sum, Label: label, Goal: x.Goal, Of: x.measured(), Proxies: x.Proxy, Config: e.Config(), Splits: fingerprint(splits),
		File: filepath.Base(x.Table), Train: len(splits[0].Train), Validate: len(splits[0].Validate),
	})
	if err != nil {
		return err
	}
	defer state.Close()
	bar := progress.NewStatus(std.Err)
	for i := len(state.runs); i < len(splits); i++ {
		e.Report = func(stage string, done float64) {
			bar.Show(fmt.Sprintf("run %d of %d, seed %d: %s %.0f %%", i+1, len(splits), splits[i].Seed, stage, 100*done))
		}
		run, err := e.Run(ctx, splits[i])
		if ctx.Err() != nil {
			bar.End()
			fmt.Fprintf(std.Err, "archflow: stopped after %d of %d runs; %s\n", i, len(splits), x.goOn())
			return nil
		}
		if err != nil {
			return err
		}
		if err := state.add(run); err != nil {
			return err
		}
		if v := float64(run.FlowVariance); v > experiment.LargestVariance && !e.Config().Standardise {
			bar.Say(fmt.Sprintf("archflow: the surrogates of seed %d vary by %.3g, which drowns everything else that is learnt; --standardise, a smaller --std or no --flow-seed help", run.Seed, v))
		}
		bar.Say(fmt.Sprintf("run %d of %d, seed %d: tau %.3f, precision at 1 %% %.1f %%, %.0f s", i+1, len(splits), run.Seed, run.Tau, 100*run.P1, run.Seconds))
	}
	result := Result{
		Data: filepath.Base(x.Table), Label: label, Predictor: e.Config().Predictor,
		Encoder: e.Config().Encoder, Pretrain: e.Config().Pretrain, Runs: state.runs,
	}
	result.Mean, result.SD = experiment.Summarise(result.Runs)
	if mean, sd, ok := experiment.SummariseStudents(result.Runs); ok {
		result.Student = &Students{mean, sd}
	}
	result.Uncertainty = experiment.SummariseUncertainty(result.Runs)
	if err := x.files(result.csv, result.plot); err != nil {
		return err
	}
	if c.JSON {
		return finite.Encode(std.Out, result)
	}
	return result.print(std.Out, e, len(splits[0].Train), len(splits[0].Validate), len(splits[0].Test))
}

// goOn says how to go on after a stop.
func (x Options) goOn() string {
	if x.Resume == "" {
		return "with --resume FILE the next one would go on from there"
	}
	return "the same command goes on from there"
}

// config puts the flags together. Epochs, width and layers are settings of the
// pipeline, whose defaults are not the paper's.
func (x Options) config(c *Settings) experiment.Config {
	config := experiment.Config{
		Predictor: c.Predictor, Encoder: only(c.Encoder), Pretrain: only(x.Pretrain),
		FineTuneEpochs: x.FinetuneEpochs, K: x.K, Std: x.Std, Standardise: x.Standardise,
		Draws: x.Draws, FlowSeed: x.FlowSeed, FlowWeight: x.FlowWeight,
		Variant: flow.Variant{Rounds: x.Rounds, Direction: x.Direction, Gather: x.Gather, Pool: x.Pool, Scale: x.Scale},
		Prune:   x.Prune, Merge: x.Merge, Student: x.Student, Corrupt: x.Corrupt, AsPublished: x.Published,
	}
	for name, copied := range map[string]func(){
		"epochs": func() { config.Epochs = c.Epochs },
		"width":  func() { config.Width = c.Width },
		"layers": func() { config.Layers = c.Layers },
	} {
		if c.IsSet(name) {
			copied()
		}
	}
	if x.Lower != "" {
		config.LowerLabel, config.Lower = x.Lower, x.LowerTrain
	}
	if !x.withoutProxies() {
		config.Proxies = x.Proxy
	}
	return config
}

// only returns the one value, "" where there is none or a choice.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// read returns a table, the name of its label and a hash of its rows.
func (x Options) read(in io.Reader, c *Settings) (table *experiment.Table, label, sum string, err error) {
	return tables.Read(x.Table, in, tables.Options{
		Label: x.Label, Lower: x.Lower, Minimise: x.Goal == "min", AsGiven: x.Of == "architecture",
		Proxies: x.Proxy, NoProxies: x.withoutProxies(), Limits: c.Limits(), LineBytes: c.MaxMessageBytes,
	})
}

// measured returns what the label measures, as runs are kept: "" for the network.
func (x Options) measured() string {
	if x.Of == "network" {
		return ""
	}
	return x.Of
}

func (x Options) withoutProxies() bool { return slices.Equal(x.Proxy, []string{"none"}) }

// draw returns the splits: those of a file, or random ones.
func (x Options) draw(table *experiment.Table) ([]experiment.Split, error) {
	if x.Splits != "" {
		text, err := os.ReadFile(x.Splits)
		if err != nil {
			return nil, fmt.Errorf("splits: %w", err)
		}
		var splits []experiment.Split
		if err := json.Unmarshal(text, &splits); err != nil {
			return nil, cli.Refuse(fmt.Errorf(`splits: %s is not a list of {"seed", "train": [rows], "validate": [rows], "test": [rows]}: %w`, x.Splits, err))
		}
		for i := range splits {
			if err := splits[i].Check(table); err != nil {
				return nil, cli.Refuse(fmt.Errorf("splits: %s: %w", x.Splits, err))
			}
		}
		if len(splits) == 0 {
			return nil, cli.Refuse(fmt.Errorf("splits: %s holds none", x.Splits))
		}
		return splits, nil
	}
	return x.drawSized(table, experiment.DefaultSizes(table))
}

// drawSized returns random splits of such sizes, unless flags say otherwise.
func (x Options) drawSized(table *experiment.Table, sizes experiment.Sizes) ([]experiment.Split, error) {
	if x.Train != 0 {
		if sizes.Pool == sizes.Train {
			sizes.Pool = x.Train
		}
		sizes.Train = x.Train
	}
	if x.Validate >= 0 {
		sizes.Validate = x.Validate
	}
	draw := experiment.Draw
	if x.Published {
		draw = experiment.AsPublished
	}
	splits, err := draw(table, x.Seeds, x.Permutations, sizes)
	if err == nil && len(splits) == 0 {
		err = errors.New("no seed or no permutation is left: give at least one of each")
	}
	if err != nil {
		return nil, cli.Refuse(err)
	}
	return splits, nil
}

// files writes the table and the plot, where flags name files for them.
func (x Options) files(csv, plot func(io.Writer) error) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{x.CSV, csv}, {x.Plot, plot}} {
		if f.name == "" {
			continue
		}
		file, err := os.Create(f.name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.write(file), file.Close()); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}
