package experiments

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// summarise fills in the rows, in the order in which their runs came.
func (r *searchSuite) summarise() {
	for _, run := range r.Runs {
		at := r.rowOf(run.tableOf, run.Strategy)
		if at < 0 {
			at = len(r.Rows)
			r.Rows = append(r.Rows, searchSuiteRow{Task: run.Task, Strategy: run.Strategy, Regret: map[string]float64{}, SD: map[string]float64{}, table: run.tableOf})
		}
		r.Rows[at].runs = append(r.Rows[at].runs, run)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Data, row.Seeds = r.nameOf(row.table), len(row.runs)
		for _, n := range r.at {
			row.Regret[fmt.Sprint(n)], row.SD[fmt.Sprint(n)] = regretAfter(row.runs, n)
		}
		for _, run := range row.runs {
			row.Seconds += run.Seconds / float64(len(row.runs))
		}
		row.TrialsToAlone = r.trialsToAlone(row)
	}
}

// rowOf returns the place of the row of a strategy on a table, -1 without one.
func (r *searchSuite) rowOf(table tableOf, strategy string) int {
	return slices.IndexFunc(r.Rows, func(row searchSuiteRow) bool { return row.table == table && row.Strategy == strategy })
}

// nameOf returns the base name of a table, or all that identifies it where another has
// the same name.
func (r *searchSuite) nameOf(table tableOf) string {
	name := table.name()
	for _, row := range r.Rows {
		if row.table != table && row.table.name() == name {
			return strings.TrimSpace(table.Table + " " + table.Sum)
		}
	}
	return name
}

// name returns the base name, which may have spaces.
func (t tableOf) name() string { return t.Table[:strings.LastIndexByte(t.Table, ' ')] }

// trialsToAlone returns after how many trials the mean regret of reinforce is no more
// than that of reinforce-alone at its end; 0 for others, and where it never is.
func (r *searchSuite) trialsToAlone(row *searchSuiteRow) int {
	alone := r.rowOf(row.table, "reinforce-alone")
	if row.Strategy != "reinforce" || alone < 0 {
		return 0
	}
	goal := r.Rows[alone].mean()
	for n, regret := range row.mean() {
		if regret <= goal[len(goal)-1] {
			return n + 1
		}
	}
	return 0
}

// regretAfter returns mean and sample standard deviation of the regret after n
// trials; a search that ended before has the regret of its end.
func regretAfter(runs []replayRun, n int) (mean, sd float64) {
	for _, run := range runs {
		mean += run.Regret[min(n, len(run.Regret))-1] / float64(len(runs))
	}
	if len(runs) < 2 {
		return mean, 0
	}
	for _, run := range runs {
		d := run.Regret[min(n, len(run.Regret))-1] - mean
		sd += d * d / float64(len(runs)-1)
	}
	return mean, math.Sqrt(sd)
}

func (r *searchSuite) print(out io.Writer) error {
	var b strings.Builder
	for i, row := range r.Rows {
		if i == 0 || r.Rows[i-1].table != row.table {
			fmt.Fprintf(&b, "%s, %s: regret by number of trials, mean and standard deviation\n%-12s", row.Data, row.Task, "strategy")
			for _, n := range r.at {
				fmt.Fprintf(&b, " %16d", n)
			}
			fmt.Fprintf(&b, " %8s %8s\n", "searches", "s each")
		}
		fmt.Fprintf(&b, "%-12s", row.Strategy)
		for _, n := range r.at {
			fmt.Fprintf(&b, " %16s", fmt.Sprintf("%.4g ±%.2g", row.Regret[fmt.Sprint(n)], row.SD[fmt.Sprint(n)]))
		}
		fmt.Fprintf(&b, " %8d %8.1f\n", row.Seeds, row.Seconds)
	}
	for _, row := range r.Rows {
		if trials := row.TrialsToAlone; trials > 0 {
			fmt.Fprintf(&b, "%s, %s: %s has after %d trials what reinforce-alone has at its end\n", row.Data, row.Task, row.Strategy, trials)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// csv writes a line for each trial of each search.
func (r *searchSuite) csv(out io.Writer) error {
	records := [][]string{{"data", "task", "strategy", "seed", "trials", "regret"}}
	for _, run := range r.Runs {
		name := r.nameOf(run.tableOf)
		for n, regret := range run.Regret {
			records = append(records, []string{name, run.Task, run.Strategy, strconv.FormatUint(run.Seed, 10), strconv.Itoa(n + 1), strconv.FormatFloat(regret, 'g', -1, 64)})
		}
	}
	return csv.NewWriter(out).WriteAll(records)
}
