package experiments

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// summarise fills in the rows, in the order in which their runs came.
func (r *searchSuite) summarise() {
	var groups [][]replayRun
	place := map[[3]string]int{}
	for _, run := range r.Runs {
		key := [3]string{run.Table, run.Task, run.Strategy}
		if _, known := place[key]; !known {
			place[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[place[key]] = append(groups[place[key]], run)
	}
	for _, runs := range groups {
		name, _, _ := strings.Cut(runs[0].Table, " ")
		row := searchSuiteRow{Data: name, Task: runs[0].Task, Strategy: runs[0].Strategy, Seeds: len(runs), Regret: map[string]float64{}, SD: map[string]float64{}}
		for _, n := range r.at {
			row.Regret[fmt.Sprint(n)], row.SD[fmt.Sprint(n)] = regretAfter(runs, n)
		}
		for _, run := range runs {
			row.Seconds += run.Seconds / float64(len(runs))
		}
		r.Rows = append(r.Rows, row)
	}
	for i := range r.Rows {
		r.Rows[i].TrialsToAlone = r.trialsToAlone(r.Rows[i])
	}
}

// trialsToAlone returns after how many trials the mean regret of reinforce is no more
// than that of reinforce-alone at its end; 0 for others, and where it never is.
func (r *searchSuite) trialsToAlone(row searchSuiteRow) int {
	alone := row
	alone.Strategy = "reinforce-alone"
	if goal := r.meanOf(alone); row.Strategy == "reinforce" && len(goal) > 0 {
		for n, regret := range r.meanOf(row) {
			if regret <= goal[len(goal)-1] {
				return n + 1
			}
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
		if i == 0 || r.Rows[i-1].Data != row.Data {
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
		name, _, _ := strings.Cut(run.Table, " ")
		for n, regret := range run.Regret {
			records = append(records, []string{name, run.Task, run.Strategy, strconv.FormatUint(run.Seed, 10), strconv.Itoa(n + 1), strconv.FormatFloat(regret, 'g', -1, 64)})
		}
	}
	return csv.NewWriter(out).WriteAll(records)
}
