package experiments

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// minRegret is the end of the logarithmic axis of a plot; a smaller regret, 0 too, is
// drawn there.
const minRegret = .01

// strategyColours are those of the lines of a plot, in the order of the rows.
var strategyColours = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"}

// plot draws the mean regret of each strategy over the trials, a panel a table.
func (r *searchSuite) plot(out io.Writer) error {
	const width, height, left, right, top, bottom = 560, 340, 56, 150, 34, 36
	panels := map[tableOf][]searchSuiteRow{}
	var order []tableOf
	for _, row := range r.Rows {
		if panels[row.table] == nil {
			order = append(order, row.table)
		}
		panels[row.table] = append(panels[row.table], row)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">`+"\n", width, height*len(order))
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	for i, table := range order {
		rows := panels[table]
		high, trials := minRegret*10, 1
		lines := make([][]float64, len(rows))
		for j, row := range rows {
			lines[j] = row.mean()
			trials = max(trials, len(lines[j]))
			for _, v := range lines[j][min(9, len(lines[j])-1):] { // from the tenth trial on
				high = max(high, v)
			}
		}
		high, low := math.Ceil(math.Log10(high)), math.Log10(minRegret)
		x := func(n int) float64 { return left + float64(n)/float64(trials)*(width-left-right) }
		y := func(v float64) float64 {
			share := (min(max(math.Log10(max(v, minRegret)), low), high) - low) / (high - low)
			return float64(i*height) + height - bottom - share*(height-top-bottom)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="14">%s</text>`+"\n", left, i*height+20, escapeXML(fmt.Sprintf("%s, %s: regret over trials", rows[0].Data, rows[0].Task)))
		for power := low; power <= high; power++ {
			v, name := math.Pow(10, power), fmt.Sprintf("%g", math.Pow(10, power))
			if power == low {
				name = "≤ " + name
			}
			fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, y(v), width-right, left-6, y(v)+4, name)
		}
		for n := 0; n <= trials; n += max(trials/3, 1) {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(n), (i+1)*height-bottom+18, n)
		}
		for j, line := range lines {
			colour := strategyColours[j%len(strategyColours)]
			var path strings.Builder
			for n, v := range line {
				fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(n, 1)], x(n+1), y(v))
			}
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colour)
			at := i*height + top + 12 + 18*j
			fmt.Fprintf(&b, `<path d="M%d %dh18" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n", width-right+12, at-4, colour, width-right+36, at, escapeXML(rows[j].Strategy))
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// mean returns the mean regret after each trial.
func (row *searchSuiteRow) mean() []float64 {
	longest := 0
	for _, run := range row.runs {
		longest = max(longest, len(run.Regret))
	}
	line := make([]float64, longest)
	for n := range line {
		line[n], _ = regretAfter(row.runs, n+1)
	}
	return line
}
