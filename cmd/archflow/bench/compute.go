package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"archflow/encoders"
	"archflow/encoders/experiment"
	"archflow/encoders/flow"
	"archflow/encoders/kernels"
	"archflow/internal/progress"
	"archflow/schemas"
	"archflow/stages"
)

// oneCore keeps everything, the garbage collector too, on one core until the
// function that it returns is called.
func oneCore() (restore func()) {
	n := runtime.GOMAXPROCS(1)
	return func() { runtime.GOMAXPROCS(n) }
}

// sgemm measures the matrix product of two shapes of the networks on one core.
// The figure is of the shape with the lower ratio.
func (b *bench) sgemm(ctx context.Context) (*Figure, error) {
	defer oneCore()()
	var worst *Figure
	var notes []string
	for _, s := range []struct{ m, n, k int }{{2048, 128, 128}, {512, 128, 512}} {
		x, y, z := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
		random := rand.New(rand.NewPCG(b.config.Seed, 0))
		for _, v := range [][]float32{x, y} {
			for i := range v {
				v[i] = float32(random.NormFloat64())
			}
		}
		work := 2e-9 * float64(s.m) * float64(s.n) * float64(s.k)
		product := func(by blas.Float32Level3) turn {
			return repeated(turnTime/2, coreTime, func() (float64, error) {
				by.Sgemm(blas.NoTrans, blas.NoTrans, s.m, s.n, s.k, 1, x, s.k, y, s.n, 0, z, s.n)
				return work, nil
			})
		}
		limit := repeated(turnTime/2, coreTime, func() (float64, error) { return 2e-9 * float64(kernels.MultiplyAdds(1e7)), nil })
		all := []turn{product(kernels.Float32{}), limit}
		if b.Rivals {
			all = append(all, product(gonum.Implementation{}))
		}
		v, err := b.turns(ctx, all...)
		if err != nil {
			return nil, err
		}
		var theirs []float64
		if b.Rivals {
			theirs = v[2]
		}
		f := rates("GFLOPS", v[0], "gonum", theirs)
		note := fmt.Sprintf("%dx%dx%d %.0f GFLOPS, %.0f %% of the %.0f that multiply-adds in registers reach", s.m, s.n, s.k, f.Value, 100*medianRatio(v[0], v[1]), median(v[1]))
		if f.Ratio != nil {
			note += fmt.Sprintf(", %.1f times gonum's", *f.Ratio)
		}
		notes = append(notes, note)
		if worst == nil || f.Ratio != nil && *f.Ratio < *worst.Ratio || f.Ratio == nil && f.Value < worst.Value {
			worst = f
		}
	}
	b.note("sgemm", "one core, a second of processor time; %s", strings.Join(notes, "; "))
	return worst, nil
}

// surrogate measures flow surrogates of batches on one core.
func (b *bench) surrogate(ctx context.Context) (*Figure, error) {
	t, err := b.tableOr()
	if err != nil {
		return nil, err
	}
	defer oneCore()()
	const k, batch, limit = 7, 4096, 2000
	f := flow.New(flow.Config{K: k})
	n := t.rows.Graphs.Len()
	var batches []schemas.Graphs
	for from := 0; from < n; from += batch {
		rows := make([]int, 0, batch)
		for i := from; i < min(from+batch, n); i++ {
			rows = append(rows, i)
		}
		batches = append(batches, t.rows.Graphs.Select(rows))
	}
	dst := make([]float32, batch*k)
	all := []turn{repeated(turnTime, coreTime, func() (float64, error) {
		for i := range batches {
			f.Surrogates(dst[:batches[i].Len()*k], &batches[i])
		}
		return float64(n), nil
	})}
	about := fmt.Sprintf("one core, a second of processor time, k %d, all %s graphs of %s in batches of %d", k, progress.Thousands(int64(n)), t.name, batch)
	if b.Rivals {
		s, err := b.pythonSurrogate(ctx, t, k, limit)
		if err != nil {
			about += "; no Python rival: " + err.Error()
		} else {
			defer s.close()
			all = append(all, func(context.Context) (float64, error) { return s.ask("") })
			about += fmt.Sprintf("; Python with numpy one by one, %d of them", limit)
		}
	}
	v, err := b.turns(ctx, all...)
	if err != nil {
		return nil, err
	}
	b.note("surrogate", "%s", about)
	return rates("architectures/s", v[0], "Python", theirs(v)), nil
}

// theirs are the rival's turns, nil without one.
func theirs(v [][]float64) []float64 {
	if len(v) > 1 {
		return v[1]
	}
	return nil
}

func (b *bench) pythonSurrogate(ctx context.Context, t *dataset, k, limit int) (*script, error) {
	file := t.file
	if file == "" {
		folder, err := os.MkdirTemp("", "archflow-table-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(folder)
		file = filepath.Join(folder, "table.jsonl")
		var text strings.Builder
		for _, line := range t.lines[:min(limit, len(t.lines))] {
			text.Write(line)
			text.WriteByte('\n')
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
	}
	s, _, err := b.startScript(ctx, "surrogate.py", file, fmt.Sprint(k), fmt.Sprint(limit))
	return s, err
}

// decode measures candidates from bytes to columns on one core.
func (b *bench) decode(ctx context.Context) (*Figure, error) {
	t, err := b.tableOr()
	if err != nil {
		return nil, err
	}
	defer oneCore()()
	const batch = 4096
	lines := t.lines[:min(batch, len(t.lines))]
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	var m schemas.Messages
	for i, line := range lines {
		m.Append(int64(i), 0, nil, nil)
		m.Value.Append(line)
	}
	messages, stage := m.Record(), stages.NewDecode(b.config.Limits())
	defer messages.Release()
	all := []turn{repeated(turnTime, coreTime, func() (float64, error) {
		messages.Retain()
		batch := schemas.Batch{Next: int64(len(lines)), Rows: messages}
		err := stage.Process(ctx, &batch)
		if err == nil && len(batch.Rejects) > 0 {
			err = errors.New(batch.Rejects[0].Reason)
		}
		batch.Rows.Release()
		return float64(len(lines)), err
	})}
	if b.Rivals {
		checker, rows := schemas.NewDecoder(b.config.Limits()), schemas.Candidates{}
		all = append(all, repeated(turnTime, coreTime, func() (float64, error) {
			rows = schemas.Candidates{}
			for _, line := range lines {
				var f schemas.Fields
				if err := json.Unmarshal(line, &f); err != nil {
					return 0, err
				}
				if refused := checker.Fields(&rows, &f); refused != nil {
					return 0, refused
				}
			}
			return float64(len(lines)), nil
		}), repeated(turnTime, coreTime, func() (float64, error) {
			for _, line := range lines {
				var f schemas.Fields
				if err := json.Unmarshal(line, &f); err != nil {
					return 0, err
				}
			}
			return float64(len(lines)), nil
		}))
	}
	v, err := b.turns(ctx, all...)
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("one core, a second of processor time, rows of %s of %d bytes, the decode stage on batches of %d: reading, checking and ordering the graph, pruning it and both hashes", t.name, size/len(lines), len(lines))
	if b.Rivals {
		about += fmt.Sprintf("; the rival is encoding/json and then the same checks, pruning and hashes; encoding/json that fills a struct and no more reads %s/s, ours is %.1f times as fast with everything", plain(median(v[2])), medianRatio(v[0], v[2]))
	}
	b.note("decode", "%s", about)
	return rates("candidates/s", v[0], "encoding/json", theirs(v)), nil
}

// widthOf is the published width of a space's encoder.
func widthOf(table string) int {
	if table == "nb201" {
		return 128
	}
	return 256
}

func (b *bench) trunk(t *dataset) (*encoders.Trunk, error) {
	return encoders.NewTrunk(encoders.TrunkConfig{
		Width: widthOf(t.name), K: t.k, Proxies: 1, Seed: b.config.Seed, Operations: t.operations(),
	})
}

// againstTorch adds the fastest PyTorch to a turn of ours.
func (b *bench) againstTorch(ctx context.Context, name, kind, about string, t *dataset, ours turn) (*Figure, error) {
	all, rival := []turn{ours}, ""
	if b.Rivals {
		var best turn
		var said string
		best, rival, said = b.torchOn(ctx, t, widthOf(t.name)).best(ctx, kind)
		about += "; " + said
		if best != nil {
			all = append(all, best)
		}
	}
	v, err := b.turns(ctx, all...)
	if err != nil {
		return nil, err
	}
	b.note(name, "%s", about)
	return rates("architectures/s", v[0], rival, theirs(v)), nil
}

// pretrain measures steps of pre-training.
func (b *bench) pretrain(ctx context.Context, table string) (*Figure, error) {
	t, err := b.table(table)
	if err != nil {
		return nil, err
	}
	trunk, err := b.trunk(t)
	if err != nil {
		return nil, err
	}
	const batch = 256
	order := rand.New(rand.NewPCG(b.config.Seed, 1)).Perm(t.rows.Graphs.Len())
	at := 0
	about := fmt.Sprintf("%d wide, 3 layers, batch %d, flow and proxy losses, graphs as given, %d cores", widthOf(table), batch, runtime.GOMAXPROCS(0))
	return b.againstTorch(ctx, "pretrain_"+table, "train", about, t, repeated(2*time.Second, wallTime, func() (float64, error) {
		if at+batch > len(order) {
			at = 0
		}
		done := trunk.Step(&t.rows.Graphs, order[at:at+batch], t.flow, [][]float32{t.proxy}).Rows
		at += batch
		return float64(done), nil
	}))
}

// infer measures scores of all rows. A workspace keeps memory and no results.
func (b *bench) infer(ctx context.Context, table string) (*Figure, error) {
	t, err := b.table(table)
	if err != nil {
		return nil, err
	}
	trunk, err := b.trunk(t)
	if err != nil {
		return nil, err
	}
	model, err := headedModel(ctx, trunk, table, taskOf[table], &t.rows.Graphs, counting(8), b.config.Seed)
	if err != nil {
		return nil, err
	}
	work := encoders.NewWorkspace(0)
	rows := counting(t.rows.Graphs.Len())
	about := fmt.Sprintf("%d wide, 3 layers, one head, all %s graphs as given, nothing remembered from pass to pass but the memory itself, %d cores", widthOf(table), progress.Thousands(int64(len(rows))), runtime.GOMAXPROCS(0))
	return b.againstTorch(ctx, "infer_"+table, "infer", about, t, repeated(turnTime, wallTime, func() (float64, error) {
		model.Predict(work, &t.rows.Graphs, rows)
		return float64(len(rows)), nil
	}))
}

// headedModel returns a model with one head, whose weights do not matter.
func headedModel(ctx context.Context, trunk *encoders.Trunk, space, task string, g *schemas.Graphs, train []int, seed uint64) (*encoders.Model, error) {
	y := make([]float64, len(train))
	for i := range y {
		y[i] = float64(i)
	}
	member, err := encoders.FineTune(ctx, trunk, g, train, y, nil, nil, encoders.FineTuneConfig{Epochs: 1, Seed: seed})
	if err != nil {
		return nil, err
	}
	return encoders.NewModel(space, 1, []*encoders.Member{member}, []encoders.Task{{Name: task, Heads: []encoders.Head{{}}}})
}

func counting(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// fgp measures the published method whole: 200 epochs of pre-training and 500 of
// fine-tuning. It takes minutes and is run once.
func (b *bench) fgp(ctx context.Context) (*Figure, error) {
	t, err := b.table("nb201")
	if err != nil {
		return nil, err
	}
	x := experiment.Table{Space: "nb201", Graphs: t.rows.Graphs, Networks: t.rows.Networks, Network: t.rows.Network, Label: t.labels}
	values := make([]float64, len(t.proxy))
	for i, v := range t.proxy {
		values[i] = float64(v)
	}
	x.Proxies = []experiment.Proxy{{Name: "params", Values: values}}
	e, err := experiment.New(&x, experiment.Config{Predictor: experiment.Published, Epochs: 200, FineTuneEpochs: 500})
	if err != nil {
		return nil, err
	}
	splits, err := experiment.Draw(&x, []uint32{21}, 1, experiment.DefaultSizes(&x))
	if err != nil {
		return nil, err
	}
	e.Report = func(stage string, done float64) { b.status.Show(fmt.Sprintf("  %s %.0f %%", stage, 100*done)) }
	before := processorTime()
	run, err := e.Run(ctx, splits[0])
	if err != nil {
		return nil, err
	}
	b.note("fgp_nb201", "one run as published: 200 epochs over all %s architectures as given, 500 of fine-tuning on %d labels, validation and test included; tau %.3f; %.0f s of processor time", progress.Thousands(int64(e.Items())), len(splits[0].Train), float64(run.Tau), (processorTime() - before).Seconds())
	return rates("s", []float64{float64(run.Seconds)}, "", nil), nil
}
