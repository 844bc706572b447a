package experiments

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"archflow/encoders/experiment"
	"archflow/internal/progress"
)

// stabilityText writes the figures for a person.
func stabilityText(out io.Writer, figures []experiment.Stability) error {
	fmt.Fprint(out, "graphs    std   nodes  variant                                  size    change\n")
	var err error
	for _, f := range figures {
		_, err = fmt.Fprintf(out, "%-7s %5g %7s  %-33s %11.3g %9.2g\n", f.Family, f.Std, progress.Thousands(int64(f.Nodes)), f.Name, f.Size, f.Change)
	}
	return err
}

func stabilityCSV(out io.Writer, figures []experiment.Stability) error {
	records := [][]string{{"family", "std", "nodes", "variant", "size", "change"}}
	for _, f := range figures {
		records = append(records, []string{f.Family, strconv.FormatFloat(f.Std, 'g', -1, 64), strconv.Itoa(f.Nodes), f.Name, strconv.FormatFloat(f.Size, 'g', 6, 64), strconv.FormatFloat(f.Change, 'g', 6, 64)})
	}
	return csv.NewWriter(out).WriteAll(records)
}

// stabilityColours are those of the variants, in their order.
var stabilityColours = []string{"#c0392b", "#2e86c1", "#8e44ad", "#b9770e", "#1e8449"}

// stabilityPlot draws size and change over the number of nodes: a column of
// panels for each family of graphs and standard deviation.
func stabilityPlot(out io.Writer, figures []experiment.Stability) error {
	const panelWidth, panelHeight, left, top, gap = 230, 220, 64, 64, 34
	type column struct {
		family string
		std    float64
	}
	var columns []column
	var names []string
	for _, f := range figures {
		if c := (column{f.Family, f.Std}); !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	width, height := left+len(columns)*(panelWidth+gap), top+2*(panelHeight+gap)+40
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	for i, name := range names {
		fmt.Fprintf(&b, `<circle cx="%d" cy="16" r="5" fill="%s"/><text x="%d" y="20">%s</text>`+"\n", left+i*200, stabilityColours[i%len(stabilityColours)], left+10+i*200, escapeXML(name))
	}
	for r, row := range []struct {
		name     string
		low, top float64 // powers of ten
		of       func(experiment.Stability) float64
	}{
		{"size of the surrogate", -4, 32, func(f experiment.Stability) float64 { return f.Size }},
		{"change by one operation", -8, 0, func(f experiment.Stability) float64 { return f.Change }},
	} {
		for c, column := range columns {
			x0, y0 := float64(left+c*(panelWidth+gap)), float64(top+r*(panelHeight+gap))
			x := func(nodes int) float64 { return x0 + panelWidth*(math.Log10(float64(nodes))-1)/(math.Log10(2000)-1) }
			y := func(power float64) float64 {
				return y0 + panelHeight*(1-(max(row.low, min(row.top, power))-row.low)/(row.top-row.low))
			}
			fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n", x0, y0, panelWidth, panelHeight)
			if r == 0 {
				fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle">%s, std %g</text>`+"\n", x0+panelWidth/2, y0-8, column.family, column.std)
			}
			for i := range 5 {
				power := row.low + (row.top-row.low)*float64(i)/4
				if c == 0 {
					fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end">1e%.0f</text>`+"\n", x0-6, y(power)+4, power)
				}
				fmt.Fprintf(&b, `<path d="M%.0f %.1fh%d" stroke="#eee"/>`+"\n", x0, y(power), panelWidth)
			}
			for _, nodes := range []int{10, 100, 500, 2000} {
				fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle">%d</text>`+"\n", x(nodes), y0+panelHeight+15, nodes)
			}
			for i, name := range names {
				var path strings.Builder
				for _, f := range figures {
					if f.Name == name && f.Family == column.family && f.Std == column.std {
						fmt.Fprintf(&path, " %.1f,%.1f", x(f.Nodes), y(math.Log10(max(row.of(f), 1e-300))))
					}
				}
				fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.TrimSpace(path.String()), stabilityColours[i%len(stabilityColours)])
			}
		}
		fmt.Fprintf(&b, `<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+r*(panelHeight+gap)+panelHeight/2, row.name)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">nodes of the graph; where the change is at the lower edge, no two surrogates differ</text>`+"\n</svg>\n", width/2, height-14)
	_, err := io.WriteString(out, b.String())
	return err
}
