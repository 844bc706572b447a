// Package bench measures this machine: decoding, surrogates, training, inference and
// the whole stream, in turns with rivals where they are at hand.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"archflow/encoders/kernels"
	"archflow/internal/cli"
	"archflow/internal/progress"
	"archflow/pipeline"
)

// Options say what is measured and how often.
type Options struct {
	Only     []string `help:"Figures to measure; without it all of them." placeholder:"NAME,..."`
	Rivals   bool     `help:"Measure the rivals that are at hand too, in turns with ours."`
	Runs     int      `default:"5" help:"Turns of each figure, of which the median counts."`
	Python   string   `default:"python3" help:"Python of the rivals that are written in it; they need numpy, torch and torch_geometric." placeholder:"PATH"`
	Stream   int      `default:"1000000" help:"Candidates of each turn of the figures of the whole stream." placeholder:"N"`
	Profile  string   `help:"Write a processor profile of each figure's turns into this folder." placeholder:"FOLDER"`
	Networks int      `default:"100000" help:"Most networks and labels of the fits that are measured." placeholder:"N"`
	Backlog  float64  `default:"1" help:"Candidates that wait when memory is measured, in millions." placeholder:"N"`
}

// Figure is one line of the result. Rates are better when larger, times and
// sizes when smaller; the ratio is above one when ours is better.
type Figure struct {
	Name       string   `json:"name"`
	Unit       string   `json:"unit"`
	Value      float64  `json:"value"`  // the median
	Spread     float64  `json:"spread"` // between the quartiles
	Rival      *string  `json:"rival"`  // nil when none was measured
	RivalValue *float64 `json:"rival_value"`
	Ratio      *float64 `json:"ratio"`
}

// Machine is where the figures are from, and how they were measured.
type Machine struct {
	System       string            `json:"system"`
	Processor    string            `json:"processor,omitempty"`
	Cores        int               `json:"cores"`
	Instructions string            `json:"instructions"` // that the kernels use
	Go           string            `json:"go"`
	Version      string            `json:"version"`
	Load         string            `json:"load,omitempty"` // at the start and at the end
	Time         time.Time         `json:"time"`
	Notes        map[string]string `json:"notes,omitempty"`   // how a figure was measured
	Skipped      map[string]string `json:"skipped,omitempty"` // why a figure is not there
}

// Result is the figures and their machine.
type Result struct {
	Machine Machine  `json:"machine"`
	Figures []Figure `json:"figures"`
}

// figures are all figures in the order in which they are measured.
var figures = []struct {
	name    string
	measure func(*bench, context.Context) (*Figure, error)
}{
	{"sgemm", (*bench).sgemm},
	{"surrogate", (*bench).surrogate},
	{"decode", (*bench).decode},
	{"pretrain_nb201", func(b *bench, ctx context.Context) (*Figure, error) { return b.pretrain(ctx, "nb201") }},
	{"infer_nb201", func(b *bench, ctx context.Context) (*Figure, error) { return b.infer(ctx, "nb201") }},
	{"pretrain_nb101", func(b *bench, ctx context.Context) (*Figure, error) { return b.pretrain(ctx, "nb101") }},
	{"infer_nb101", func(b *bench, ctx context.Context) (*Figure, error) { return b.infer(ctx, "nb101") }},
	{"pretrain_nb301", func(b *bench, ctx context.Context) (*Figure, error) { return b.pretrain(ctx, "nb301") }},
	{"infer_nb301", func(b *bench, ctx context.Context) (*Figure, error) { return b.infer(ctx, "nb301") }},
	{"large_graphs", (*bench).largeGraphs},
	{"fgp_nb201", (*bench).fgp},
	{"end_to_end", (*bench).endToEnd},
	{"end_to_end_training", (*bench).endToEndTraining},
	{"tracing", (*bench).tracing},
	{"latency_p99", (*bench).latency},
	{"label_to_answer", (*bench).labelToAnswer},
	{"api_call_p99", (*bench).apiCall},
	{"api_lines", (*bench).apiLines},
	{"fit_networks", (*bench).fitNetworks},
	{"fit_labels", (*bench).fitLabels},
	{"start", (*bench).start},
	{"memory", (*bench).memory},
}

// bench is a run of the command.
type bench struct {
	Options
	config  *pipeline.Config
	version string
	status  *progress.Status
	err     io.Writer
	machine Machine
	tables  map[string]*dataset
	torch   map[string]*torchRival
	stream  *stream
	figure  string // that is being measured
	scripts string // folder of the rivals' scripts, "" before they are needed
}

// skipped says why a figure cannot be measured here.
type skipped string

func (s skipped) Error() string { return string(s) }

// Measure measures what o asks for, with the settings c and in the name of a version
// of archflow, and returns the finished figures, also when it is interrupted. Progress
// goes to log. Options that are wrong are a cli.Refusal.
func Measure(ctx context.Context, o Options, c *pipeline.Config, version string, log io.Writer) (*Result, error) {
	for _, name := range o.Only {
		if !slices.Contains(figureNames(), name) {
			return nil, cli.Refuse(fmt.Errorf("--only: there is no figure %q; there are %s", name, strings.Join(figureNames(), ", ")))
		}
	}
	if o.Runs < 1 || o.Stream < 1000 || !(o.Backlog >= .001) || o.Networks < fewNetworks {
		return nil, cli.Refuse(errors.New("--runs must be at least 1, --stream 1000, --backlog 0.001 and --networks 10000"))
	}
	b := &bench{
		Options: o, config: c, version: version, status: progress.NewStatus(log), err: log,
		machine: describeMachine(version), tables: map[string]*dataset{}, torch: map[string]*torchRival{},
	}
	defer b.close()
	result := &Result{Figures: []Figure{}}
	before := loadAverage()
	for _, f := range figures {
		if len(o.Only) > 0 && !slices.Contains(o.Only, f.name) {
			continue
		}
		b.figure = f.name
		b.status.Say(f.name)
		got, err := f.measure(b, ctx)
		var why skipped
		switch {
		case errors.As(err, &why):
			b.machine.Skipped[f.name] = why.Error()
			b.status.Say("  left out: " + why.Error())
			continue
		case ctx.Err() != nil:
			b.machine.Skipped[f.name] = "interrupted"
		case err != nil:
			return nil, fmt.Errorf("%s: %w", f.name, err)
		default:
			got.Name = f.name
			result.Figures = append(result.Figures, *got)
			b.status.Say("  " + got.text())
		}
		if ctx.Err() != nil {
			break
		}
	}
	b.status.End()
	if after := loadAverage(); before != "" {
		b.machine.Load = before + " at the start, " + after + " at the end"
	}
	result.Machine = b.machine
	return result, nil
}

func figureNames() []string {
	names := make([]string, len(figures))
	for i, f := range figures {
		names[i] = f.name
	}
	return names
}

func describeMachine(version string) Machine {
	m := Machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Instructions: kernels.Instructions(),
		Go: runtime.Version(), Version: version, Time: time.Now().UTC().Truncate(time.Second),
		Notes: map[string]string{}, Skipped: map[string]string{},
	}
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it stays empty
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// loadAverage is the system's of the last minute, "" where it is unknown. More
// than the number of cores says that others were busy too.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// close gives back what several figures share.
func (b *bench) close() {
	for _, t := range b.torch {
		t.close()
	}
	if b.stream != nil {
		b.stream.close()
	}
	if b.scripts != "" {
		_ = os.RemoveAll(b.scripts)
	}
}

// rates puts a figure together from rates of ours and, unless they are empty, a
// rival's.
func rates(unit string, ours []float64, rival string, theirs []float64) *Figure {
	f := &Figure{Unit: unit, Value: rounded(median(ours)), Spread: rounded(quartiles(ours))}
	if len(theirs) > 0 {
		value, ratio := rounded(median(theirs)), rounded(medianRatio(ours, theirs))
		f.Rival, f.RivalValue, f.Ratio = &rival, &value, &ratio
	}
	return f
}

// text is the figure on a line, the ratio first.
func (f *Figure) text() string {
	line := fmt.Sprintf("%8s  %-19s %12s ±%-9s %s", "", f.Name, plain(f.Value), plain(f.Spread/2), f.Unit)
	if f.Ratio != nil {
		line = fmt.Sprintf("%7.4gx  %-19s %12s ±%-9s %-18s %s %s", *f.Ratio, f.Name, plain(f.Value), plain(f.Spread/2), f.Unit, *f.Rival, plain(*f.RivalValue))
	}
	return strings.TrimRight(line, " ")
}

// Print writes the result for people.
func (r *Result) Print(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "%s, %d cores, %s, %s\n", cmpOr(m.Processor, m.System), m.Cores, m.Instructions, m.Go)
	if m.Load != "" {
		fmt.Fprintf(out, "load %s\n", m.Load)
	}
	fmt.Fprintln(out)
	sorted := slices.Clone(r.Figures)
	slices.SortStableFunc(sorted, func(a, b Figure) int { // those with a ratio first
		return boolInt(a.Ratio == nil) - boolInt(b.Ratio == nil)
	})
	for i := range sorted {
		fmt.Fprintln(out, sorted[i].text())
	}
	for _, name := range figureNames() {
		if note := m.Notes[name]; note != "" {
			fmt.Fprintf(out, "\n%s: %s", name, note)
		}
		if why := m.Skipped[name]; why != "" {
			fmt.Fprintf(out, "\n%s left out: %s", name, why)
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// plain writes a number with as many digits as it deserves.
func plain(v float64) string {
	if math.Abs(v) >= 1000 {
		return progress.Thousands(int64(math.Round(v)))
	}
	return fmt.Sprintf("%.3g", v)
}

// rounded keeps four digits, which is more than a measurement is worth.
func rounded(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// note says how a figure was measured.
func (b *bench) note(name, format string, a ...any) {
	b.machine.Notes[name] = fmt.Sprintf(format, a...)
}

// missing says that a file is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
