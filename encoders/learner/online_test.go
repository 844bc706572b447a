package learner

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"archflow/encoders/metrics"
	"archflow/encoders/teacher"
	"archflow/schemas"
)

// micro reads every n-th row of the embedded benchmark of trained cells.
func micro(t testing.TB, every int) (w *world, accuracy []float64) {
	t.Helper()
	file, err := os.Open("../../cmd/archflow/micro/micro.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	w = &world{decoder: schemas.NewDecoder(schemas.Limits{})}
	lines := bufio.NewScanner(text)
	for i := 0; lines.Scan(); i++ {
		if i%every != 0 {
			continue
		}
		var row struct {
			Labels struct {
				Accuracy float64 `json:"accuracy"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		w.add(t, lines.Text())
		accuracy = append(accuracy, row.Labels.Accuracy)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return w, accuracy
}

// A stream of labels, in any order, teaches the same as the labels at once.
func TestOnlineEqualsOffline(t *testing.T) {
	const labels = 80
	w, accuracy := micro(t, 12)
	n := len(accuracy)
	order := rand.New(rand.NewPCG(11, 3)).Perm(n)
	labelled, rest := order[:labels], order[labels:]

	// Offline: the teacher, given everything.
	data := &teacher.Data{}
	column := map[schemas.Symbol]int{}
	row := map[schemas.ID]int{}
	for i, id := range w.c.Network {
		if _, ok := row[id]; !ok {
			row[id] = data.Networks.Len()
			data.Networks.Append(w.c.Networks.Graph(i))
			w.c.Proxies(i, func(name schemas.Symbol, v float64) {
				at, ok := column[name]
				if !ok {
					at = len(column)
					column[name] = at
					data.Proxies = append(data.Proxies, teacher.Proxy{Name: schemas.Name(name)})
				}
				data.Proxies[at].Values = append(data.Proxies[at].Values, v)
			})
		}
	}
	sum, count := make([]float64, len(row)), make([]float64, len(row))
	for _, i := range labelled {
		sum[row[w.c.Network[i]]] += accuracy[i]
		count[row[w.c.Network[i]]]++
	}
	var rows []int
	var y []float64
	for r, c := range count {
		if c > 0 {
			rows, y = append(rows, r), append(y, sum[r]/c)
		}
	}
	features, err := teacher.NewFeatures(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	result, err := features.Fit(t.Context(), rows, y, teacher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var truth, offline []float64
	for _, i := range rest {
		truth, offline = append(truth, accuracy[i]), append(offline, result.Score[row[w.c.Network[i]]])
	}
	want := metrics.KendallTau(offline, truth)
	if !(want > 0.4) {
		t.Fatalf("offline tau %.3f: there is nothing to compare with", want)
	}

	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 4))
		cfg := tiny(schemas.Name(w.c.Space[0]))
		cfg.Buffer, cfg.Remember, cfg.batch = 2*n, 2*n, 256
		l := New(cfg)
		label := func(i int, value float64) schemas.Label {
			return schemas.Label{Space: cfg.Space, Task: "accuracy", Value: value, ID: bytes.Clone(w.c.ID.At(i))}
		}
		// Candidates pass in any order, and some of them again. Labels come before
		// their candidate or long after it; half of them are wrong at first, and a
		// few are withdrawn in between.
		type message struct {
			candidate int
			label     *schemas.Label
		}
		var stream []message
		for _, i := range random.Perm(n) {
			stream = append(stream, message{candidate: i})
		}
		for _, i := range random.Perm(n)[:n/4] {
			stream = append(stream, message{candidate: i})
		}
		var corrections []message
		for k, i := range labelled {
			right := label(i, accuracy[i])
			first := right
			if k%2 == 0 {
				first.Value = 100 * random.Float64()
			}
			at := random.IntN(len(stream))
			stream = append(stream[:at], append([]message{{label: &first}}, stream[at:]...)...)
			if k%10 == 0 {
				gone := withdrawn(right)
				corrections = append(corrections, message{label: &gone})
			}
			corrections = append(corrections, message{label: &right}, message{label: &right})
		}
		for k, m := range append(stream, corrections...) {
			if m.label != nil {
				l.Label(*m.label)
			} else {
				l.Observe(&w.c, m.candidate)
			}
			if k%(len(stream)/4) == 0 || k == len(stream) {
				workAll(t, l)
			}
		}
		workAll(t, l)
		m := l.Champion()
		answers := m.Predict(l.workspace, &w.c.Networks, rest)
		m.UseCache(answers, w.c.Network, rest)
		got := metrics.KendallTau(answers.Score[0], truth)
		t.Logf("tau online %.3f, offline %.3f", got, want)
		if !(got >= 0.95*want) {
			t.Errorf("tau online %.3f, offline %.3f: want at least 95 %%", got, want)
		}
	}
}
