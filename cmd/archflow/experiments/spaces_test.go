package experiments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"archflow/cmd/archflow/foreign"
	"archflow/encoders/experiment"
	"archflow/encoders/experiment/tables"
	"archflow/encoders/metrics"
)

// op is an operation with attributes.
type op map[string]any

func choose[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// chain returns the members of a candidate whose operations follow one another.
func chain(ops []any, hyper map[string]any) map[string]any {
	ops = append(append([]any{"input"}, ops...), "output")
	var edges [][2]int
	for i := range len(ops) - 1 {
		edges = append(edges, [2]int{i, i + 1})
	}
	return map[string]any{"ops": ops, "edges": edges, "hyperparameters": hyper}
}

func with(row map[string]any, label float64) map[string]any {
	row["label"] = label
	return row
}

// TestSpacesOfStrangers: a small space of each kind, whose label is a function and noise,
// goes through import or the decoder and the features to a ranking. From 48 labels it
// ranks better than any sum of one number of the candidates does by hindsight.
func TestSpacesOfStrangers(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) map[string]any{
		"sizes": func(r *rand.Rand) map[string]any {
			depth, width, resolution := 2+r.IntN(10), choose(r, 32, 48, 64, 96, 128), choose(r, 96, 128, 160, 192, 224)
			act := choose(r, "relu", "gelu", "swish")
			cost := math.Log(float64(depth * width * width * resolution * resolution))
			bonus := map[string]float64{"relu": 0, "gelu": .5, "swish": .7}[act]
			return with(map[string]any{"depth": depth, "width": width, "resolution": resolution, "act": act}, cost-.1*(cost-20)*(cost-20)+bonus)
		},
		"transformer": func(r *rand.Rand) map[string]any {
			width, rate := choose(r, 128, 192, 256, 384), math.Pow(10, -4+2*r.Float64())
			var layers []any
			cost := 0.
			for range 2 + r.IntN(6) {
				heads, ratio := choose(r, 2, 4, 8), choose(r, 1, 2, 3, 4)
				layers = append(layers, op{"op": "layer", "heads": heads, "ratio": ratio})
				cost += float64(4+2*ratio) - .5*math.Abs(math.Log2(float64(width/heads)/48))
			}
			miss := math.Log10(rate) + 3
			return with(chain(layers, map[string]any{"width": width, "learning_rate": rate}), math.Log(cost*float64(width*width))-miss*miss)
		},
		"mobile": func(r *rand.Rand) map[string]any {
			var blocks []any
			cost, side, before := 0., 1., 16.
			for range 3 + r.IntN(5) {
				kernel, expansion, channels, stride := choose(r, 3, 5, 7), choose(r, 1, 3, 6), choose(r, 16, 24, 40), choose(r, 1, 1, 2)
				blocks = append(blocks, op{"op": "mbconv", "kernel": kernel, "expansion": expansion, "channels": channels, "stride": stride})
				side /= float64(stride)
				cost += side * side * before * float64(expansion*(kernel*kernel+int(before)+channels))
				before = float64(channels)
			}
			return with(chain(blocks, map[string]any{}), math.Log(cost))
		},
		"branches": func(r *rand.Rand) map[string]any {
			ops, edges, quality := []any{"input"}, [][2]int{}, 0.
			var ends []int
			for range 1 + r.IntN(4) {
				last, own := 0, 0.
				for range 1 + r.IntN(3) {
					kernel, channels := choose(r, 1, 3, 5), choose(r, 16, 32, 64)
					edges, last = append(edges, [2]int{last, len(ops)}), len(ops)
					ops = append(ops, op{"op": "conv", "kernel": kernel, "channels": channels})
					own += math.Log2(float64(channels)/8) * float64(min(kernel, 4))
				}
				ends, quality = append(ends, last), quality+math.Sqrt(own)
			}
			for _, end := range ends {
				edges = append(edges, [2]int{end, len(ops)})
			}
			return with(map[string]any{"ops": append(ops, "output"), "edges": edges}, math.Log(quality))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 8))
			var rows []map[string]any
			for range 240 {
				row := draw(r)
				row["label"] = row["label"].(float64) + .05*r.NormFloat64()
				rows = append(rows, row)
			}
			file := filepath.Join(t.TempDir(), "rows.jsonl")
			text := published(t, name, rows)
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			table, _, _, err := tables.Read(file, nil, tables.Options{Label: "label", LineBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			e, err := experiment.New(table, experiment.Config{Pretrain: "none"})
			if err != nil {
				t.Fatal(err)
			}
			order := r.Perm(len(rows))
			run, err := e.Run(context.Background(), experiment.Split{Seed: 1, Train: order[:48], Test: order[48:]})
			if err != nil {
				t.Fatal(err)
			}
			floor, by := best(rows, table.Label, order[48:])
			t.Logf("tau %.3f, %.3f by %s; %.0f %% held", run.Tau, floor, by, 100*run.Uncertainty.Coverage)
			if float64(run.Tau) < floor+.05 || run.Uncertainty.Coverage < .7 {
				t.Errorf("tau %.3f, that of %s %.3f; intervals hold %.0f %%, want 70 of one draw", run.Tau, by, floor, 100*run.Uncertainty.Coverage)
			}
		})
	}
}

// best returns the largest tau of the number of operations, or of the sum of an attribute
// or a hyperparameter, with the labels of the rows tested.
func best(rows []map[string]any, label []float64, tested []int) (tau float64, by string) {
	sums := map[string][]float64{}
	for k, at := range tested {
		add := func(name string, value any) {
			if sums[name] == nil {
				sums[name] = make([]float64, len(tested))
			}
			switch x := value.(type) {
			case int:
				sums[name][k] += float64(x)
			case float64:
				sums[name][k] += x
			}
		}
		row := rows[at]
		ops, _ := row["ops"].([]any)
		hyper, ok := row["hyperparameters"].(map[string]any)
		if !ok {
			hyper = row
		}
		add("operations", len(ops))
		for name, value := range hyper {
			if name != "label" {
				add(name, value)
			}
		}
		for _, x := range ops {
			if o, ok := x.(op); ok {
				for name, value := range o {
					add(name, value)
				}
			}
		}
	}
	truth := make([]float64, len(tested))
	for k, at := range tested {
		truth[k] = label[at]
	}
	for name, sum := range sums {
		if x := math.Abs(metrics.KendallTau(truth, sum)); x > tau {
			tau, by = x, name
		}
	}
	return tau, by
}

// published returns rows as lines of candidates; those of hyperparameters alone are
// imported from CSV.
func published(t *testing.T, space string, rows []map[string]any) []byte {
	var lines, sheet bytes.Buffer
	write := func(line any) {
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(text, '\n'))
	}
	if rows[0]["ops"] == nil {
		fmt.Fprintln(&sheet, "depth,width,resolution,act,label")
		for _, row := range rows {
			fmt.Fprintf(&sheet, "%v,%v,%v,%v,%v\n", row["depth"], row["width"], row["resolution"], row["act"], row["label"])
		}
		candidates, left, err := foreign.Read("sheet.csv", sheet.Bytes(), foreign.Options{Space: space, Labels: []string{"label"}})
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		for _, c := range candidates {
			write(c)
		}
		return lines.Bytes()
	}
	for _, row := range rows {
		row["space"], row["labels"] = space, map[string]any{"label": row["label"]}
		delete(row, "label")
		write(row)
	}
	return lines.Bytes()
}
