package experiments

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"archflow/encoders/experiment"
	"archflow/internal/progress"
)

// print writes the rows for a person.
func (r *suiteResult) print(out io.Writer) error {
	data := ""
	for _, row := range r.Rows {
		if row.Data != data {
			data = row.Data
			fmt.Fprintf(out, "%s, label %s\n%-34s labels runs      tau            P@1 %%          P@5 %%   minutes  ranked/s  surrogates/s\n", row.Data, row.Label, "")
		}
		fmt.Fprintf(out, "%-34s %6d %4d %6.3f (%.3f) %6.1f (%4.1f) %6.1f (%4.1f) %8.2f %9s %13s\n", row.Group+": "+row.Name, row.Train, len(row.Runs),
			row.Mean.Tau, row.SD.Tau, 100*row.Mean.P1, 100*row.SD.P1, 100*row.Mean.P5, 100*row.SD.P5, row.Mean.Seconds/60,
			paceOf(row.Runs, func(r experiment.Run) experiment.Figure { return r.Ranked }), paceOf(row.Runs, func(r experiment.Run) experiment.Figure { return r.Surrogates }))
	}
	var err error
	for _, s := range r.Spread {
		_, err = fmt.Fprintf(out, "%s, %s: over %d draws of the surrogate the mean tau has a standard deviation of %.3f, P@1 %% of %.1f\n", s.Data, s.Group, s.Draws, s.SD.Tau, 100*s.SD.P1)
	}
	return err
}

// paceOf is the mean of what runs did in a second, "" where none did.
func paceOf(runs []experiment.Run, of func(experiment.Run) experiment.Figure) string {
	sum := experiment.Figure(0)
	for _, r := range runs {
		sum += of(r)
	}
	if sum == 0 {
		return "-"
	}
	return progress.Thousands(int64(sum / experiment.Figure(len(runs))))
}

// csv writes a line for each run.
func (r *suiteResult) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	records := [][]string{{"suite", "data", "label", "encoder", "pretrain", "group", "name", "share", "train", "seed", "permutation", "tau", "spearman", "p1", "p5", "p10", "seconds", "ranked_per_second", "surrogates_per_second"}}
	for _, row := range r.Rows {
		for _, run := range row.Runs {
			record := []string{r.Suite, row.Data, row.Label, row.Encoder, row.Pretrain, row.Group, row.Name, strconv.FormatFloat(row.Share, 'g', -1, 64), strconv.Itoa(row.Train), strconv.FormatUint(run.Seed, 10), strconv.Itoa(run.Permutation)}
			for _, v := range []experiment.Figure{run.Tau, run.Spearman, run.P1, run.P5, run.P10, run.Seconds, run.Ranked, run.Surrogates} {
				record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 64))
			}
			records = append(records, record)
		}
	}
	return w.WriteAll(records)
}

// plot draws a line for each row: tau and precision at 1 %, a dot at the mean and
// a stroke over one standard deviation on either side.
func (r *suiteResult) plot(out io.Writer) error {
	const left, step, half, top = 300, 18, 300, 56
	width, height := left+2*half+60, top+step*len(r.Rows)+20
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	for panel, column := range []struct {
		name string
		of   func(experiment.Figures) experiment.Figure
	}{
		{"Kendall's tau", func(f experiment.Figures) experiment.Figure { return f.Tau }},
		{"precision at 1 %", func(f experiment.Figures) experiment.Figure { return f.P1 }},
	} {
		x0 := float64(left + panel*(half+30))
		x := func(v experiment.Figure) float64 { return x0 + max(0, min(1, float64(v)))*half }
		fmt.Fprintf(&b, `<text x="%.1f" y="18" text-anchor="middle" font-size="14">%s</text>`+"\n", x(.5), column.name)
		for i := range 6 {
			v := experiment.Figure(i) / 5
			fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%.1f</text>`+"\n", x(v), top-10, height-16, x(v), top-16, v)
		}
		for i, row := range r.Rows {
			y := top + step*i + step/2
			if panel == 0 {
				fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+4, escapeXML(row.Group+": "+row.Name+", "+row.Data))
			}
			mean, sd := column.of(row.Mean.Figures), column.of(row.SD.Figures)
			if mean != mean {
				continue
			}
			fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" stroke="#1f4e79" stroke-width="2"/><circle cx="%.1f" cy="%d" r="4" fill="#1f4e79"/>`+"\n", x(mean-sd), y, x(mean+sd), x(mean), y)
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}
