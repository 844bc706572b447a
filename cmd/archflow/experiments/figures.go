package experiments

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"archflow/encoders/experiment"
	"archflow/internal/cli"
	"archflow/internal/finite"
)

// figures writes a Markdown table of files that --resume kept, a row each, in their
// order.
func (x Options) figures(out io.Writer) error {
	var files []string
	for _, name := range x.Data {
		inside, err := filepath.Glob(filepath.Join(name, "*.jsonl"))
		if err != nil {
			return cli.Refuse(err)
		}
		if len(inside) == 0 {
			inside = []string{name}
		}
		slices.Sort(inside)
		files = append(files, inside...)
	}
	if len(files) == 0 {
		return cli.Refuse(fmt.Errorf("no files of runs: name those that --resume kept, or a folder of them"))
	}
	_, err := fmt.Fprint(out, "| table, label | labels | what | runs | tau | P@1 % | P@5 % | held by 90 % intervals | their width |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range files {
		head, runs, failed := readRuns(name)
		if failed != nil {
			return failed
		}
		if _, err = io.WriteString(out, figuresOf(head, runs)); err != nil {
			return err
		}
	}
	return err
}

// readRuns reads a file that --resume kept.
func readRuns(name string) (head resumeHead, runs []experiment.Run, err error) {
	file, err := os.Open(name)
	if err != nil {
		return head, nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for number := 1; lines.Scan(); number++ {
		if number == 1 {
			err = json.Unmarshal(lines.Bytes(), &head)
			if err == nil && head.Splits == "" {
				err = fmt.Errorf("no head of runs")
			}
		} else {
			var run experiment.Run
			err = json.Unmarshal(lines.Bytes(), &run)
			runs = append(runs, run)
		}
		if err != nil {
			return head, nil, cli.Refuse(fmt.Errorf("%s:%d does not hold runs that --resume of one experiment kept: %w", name, number, err))
		}
	}
	if err = lines.Err(); err == nil && len(runs) == 0 {
		err = cli.Refuse(fmt.Errorf("%s holds no finished run of an experiment", name))
	}
	return head, runs, err
}

// figuresOf returns the row of the runs of one file.
func figuresOf(h resumeHead, runs []experiment.Run) string {
	c := h.Config
	what := c.Predictor
	if c.Predictor == experiment.Published {
		what = fmt.Sprintf("%s %d x %d, %s", c.Encoder, c.Width, c.Layers, c.Pretrain)
		if c.Pretrain != "none" {
			what += fmt.Sprintf(" for %d epochs", c.Epochs)
		}
	} else if c.Pretrain != "none" {
		what += ", embedding of " + c.Pretrain
	}
	for _, more := range []struct {
		is   bool
		text string
	}{
		{c.AsPublished, "as published"}, {c.Corrupt != "", "`" + c.Corrupt + "`"},
		{c.Lower > 0, fmt.Sprintf("beside %d of `%s`", c.Lower, c.LowerLabel)},
	} {
		if more.is {
			what += ", " + more.text
		}
	}
	mean, sd := experiment.Summarise(runs)
	held, width := "", ""
	if u := experiment.SummariseUncertainty(runs); u != nil {
		held, width = fmt.Sprintf("%.0f %%", 100*u.Coverage), fmt.Sprintf("%.1f", u.Width)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(h.File, ".gz"), ".jsonl")
	return fmt.Sprintf("| %s, `%s` | %d | %s | %d | %s (%s) | %s | %s | %s | %s |\n", name, h.Label, h.Train+h.Validate, what, len(runs),
		share(mean.Tau), share(sd.Tau), percentOf(mean.P1, sd.P1), percentOf(mean.P5, sd.P5), held, width)
}

// percentOf writes a share and its deviation, a dash where so few were tested that it has
// no value.
func percentOf(mean, sd experiment.Figure) string {
	if !finite.Is(float64(mean)) {
		return "-"
	}
	return fmt.Sprintf("%.1f (%.1f)", 100*mean, 100*sd)
}

// share writes a figure below one as the tables of the docs do.
func share(f experiment.Figure) string {
	return strings.Replace(fmt.Sprintf("%.3f", f), "0.", ".", 1)
}
