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

// print writes the result for a person.
func (r *Result) print(out io.Writer, e *experiment.Experiment, train, validate, test int) error {
	encoded := "graphs as given"
	if e.Config().Prune {
		encoded = "networks"
	}
	fmt.Fprintf(out, "%s, label %s: %s %s; %d labels train, %d validate, %d architectures tested\n",
		r.Data, r.Label, progress.Thousands(int64(e.Items())), encoded, train, validate, test)
	fmt.Fprintf(out, "predictor %s, encoder %s, pre-training %s", r.Predictor, r.Encoder, r.Pretrain)
	if learnt := e.Learnt(); len(learnt) > 0 {
		fmt.Fprintf(out, " with %s", strings.Join(learnt, ", "))
	}
	fmt.Fprint(out, "\n\n      seed    tau  Spearman   P@1 %   P@5 %  P@10 %  seconds\n")
	for _, run := range r.Runs {
		fmt.Fprintf(out, "%10d %s\n", run.Seed, figuresRow(run.Figures, run.Seconds))
	}
	fmt.Fprintf(out, "%10s %s\n", "mean", figuresRow(r.Mean.Figures, r.Mean.Seconds))
	_, err := fmt.Fprintf(out, "%10s %s\n", "sd", figuresRow(r.SD.Figures, r.SD.Seconds))
	if u := r.Uncertainty; u != nil {
		fmt.Fprintf(out, "\n90 %% intervals hold %.1f %% and are %.2f standard deviations of the label wide\nby score, a tenth after another%s\nby sd                        %s\nto be among the best 1 %%\n  networks  said %%   was %%\n", 100*u.Coverage, u.Width, percents(u.ByScore), percents(u.BySD))
		for _, g := range u.Top {
			if g.Networks > 0 {
				_, err = fmt.Fprintf(out, "%10d %7.1f %7.1f\n", g.Networks, 100*g.Said, 100*g.Was)
			}
		}
	}
	if r.Student != nil {
		fmt.Fprintf(out, "\nits student, at the speed of the encoder\n%10s %s\n", "mean", figuresRow(r.Student.Mean.Figures, r.Student.Mean.Seconds))
		_, err = fmt.Fprintf(out, "%10s %s\n", "sd", figuresRow(r.Student.SD.Figures, r.Student.SD.Seconds))
	}
	return err
}

// percents writes shares as whole percents.
func percents(shares []experiment.Figure) string {
	var b strings.Builder
	for _, s := range shares {
		fmt.Fprintf(&b, " %3.0f", 100*s)
	}
	return b.String()
}

func figuresRow(f experiment.Figures, seconds experiment.Figure) string {
	return fmt.Sprintf("%6.3f %9.3f %7.1f %7.1f %7.1f %8.1f", f.Tau, f.Spearman, 100*f.P1, 100*f.P5, 100*f.P10, seconds)
}

// csv writes a row for each run, and one for its student.
func (r *Result) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	columns := []string{"model", "seed", "permutation", "tau", "spearman", "p1", "p5", "p10", "seconds"}
	if err := w.Write(columns); err != nil {
		return err
	}
	row := func(model, seed, permutation string, f experiment.Figures, seconds experiment.Figure) error {
		record := []string{model, seed, permutation}
		for _, v := range []experiment.Figure{f.Tau, f.Spearman, f.P1, f.P5, f.P10, seconds} {
			record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 64))
		}
		return w.Write(record)
	}
	for _, run := range r.Runs {
		seed, permutation := strconv.FormatUint(run.Seed, 10), strconv.Itoa(run.Permutation)
		if err := row(r.Predictor, seed, permutation, run.Figures, run.Seconds); err != nil {
			return err
		}
		if run.Student != nil {
			if err := row("student", seed, permutation, run.Student.Figures, run.Student.Seconds); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}

// plot draws each figure's runs as dots over a bar of their mean.
func (r *Result) plot(out io.Writer) error {
	const (
		width, height     = 520, 360
		left, top, bottom = 48, 48, 320
		step, bar         = 92, 44
	)
	y := func(v experiment.Figure) float64 { return bottom - max(0, float64(v))*(bottom-top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="14">%s</text>`+"\n", left, escapeXML(fmt.Sprintf("%s, %s: %s, %s, %s; runs: %d", r.Data, r.Label, r.Predictor, r.Encoder, r.Pretrain, len(r.Runs))))
	for i := range 6 {
		v := experiment.Figure(i) / 5
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.1f</text>`+"\n", left, y(v), width-12, left-6, y(v)+4, v)
	}
	for i, column := range []struct {
		name string
		of   func(experiment.Figures) experiment.Figure
	}{
		{"tau", func(f experiment.Figures) experiment.Figure { return f.Tau }},
		{"Spearman", func(f experiment.Figures) experiment.Figure { return f.Spearman }},
		{"P@1 %", func(f experiment.Figures) experiment.Figure { return f.P1 }},
		{"P@5 %", func(f experiment.Figures) experiment.Figure { return f.P5 }},
		{"P@10 %", func(f experiment.Figures) experiment.Figure { return f.P10 }},
	} {
		centre := left + step/2 + i*step
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", centre, bottom+20, column.name)
		mean := column.of(r.Mean.Figures)
		if mean != mean {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="#9ec5e8"/><text x="%d" y="%.1f" text-anchor="middle">%.3f</text>`+"\n",
			centre-bar/2, y(mean), bar, bottom-y(mean), centre, bottom-6., mean)
		for j, run := range r.Runs {
			x := float64(centre-bar/2) + float64(bar)*(float64(j)+.5)/float64(len(r.Runs))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#1f4e79"/>`+"\n", x, y(column.of(run.Figures)))
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
