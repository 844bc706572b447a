package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"archflow/encoders"
	"archflow/schemas"
)

// fakeTopics holds one partition of each topic.
type fakeTopics map[Topic][]string

func (f fakeTopics) Read(_ context.Context, topic Topic, positions map[int32]int64, tail int64, show func(*schemas.Messages)) error {
	var m schemas.Messages
	end := int64(len(f[topic]))
	at := positions[0]
	if tail > 0 {
		at = max(at, end-tail)
	}
	for ; at < end; at++ {
		m.Append(at, time.Now().UnixMilli(), nil, nil)
		m.Value.Append([]byte(f[topic][at]))
	}
	positions[0] = end
	show(&m)
	return nil
}

// chain is a network of its own for every i.
func chain(i int, more string) string {
	ops := `"input"`
	for b := range 6 {
		ops += fmt.Sprintf(`,"op%d"`, i>>b&1)
	}
	return fmt.Sprintf(`{"space":"dag",%s"ops":[%s,"output"],"edges":[[0,1],[1,2],[2,3],[3,4],[4,5],[5,6],[6,7]]}`, more, ops)
}

func get(t *testing.T, h http.Handler, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	return w.Code, w.Body.String()
}

// chosenBody is an answer of best, front or ask.
type chosenBody struct {
	Candidates []struct {
		ID      any
		Network string
		Labels  map[string]float64
		Proxies map[string]float64
	}
	Model *string
}

func parse(t *testing.T, body string) (a chosenBody) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(body, err)
	}
	return a
}

// TestCatalogueOfLabels: a label finds its network by id, hash or graph, before
// or after its candidate; benchmark results in a candidate are not its labels.
func TestCatalogueOfLabels(t *testing.T) {
	o := options()
	topics := fakeTopics{Candidates: {
		chain(0, `"id":"a","labels":{"acc":1,"x":NaN},"proxies":{"flops":3},`), chain(1, `"id":7,`), chain(0, `"id":"again",`), `broken`,
	}}
	o.Topics, o.Networks = topics, 100
	s := New(o)
	if status, body := get(t, s, "/api/best?space=nb201&task=acc"); status != http.StatusNotFound {
		t.Errorf("an unknown space: %d %s", status, body)
	}
	if status, body := get(t, s, "/api/best?space=dag&task=acc"); status != http.StatusNotFound {
		t.Errorf("an unknown task: %d %s", status, body)
	}
	topics[Labels] = []string{
		`{"space":"dag","id":"again","task":"acc","value":5}`,
		`{"space":"dag","id":7,"task":"acc","value":6}`,
		`{"space":"dag","id":"late","task":"acc","value":9}`,
		chain(3, `"id":"own","task":"acc","value":2,`),
		`{"space":"dag","id":7,"task":"acc","value":4}`,
		`{"space":"dag","id":"a","task":"gone","value":4}`,
		`{"space":"dag","id":"a","task":"gone","value":null}`,
		`{"space":"dag","id":"a","task":"loss","value":0.5,"goal":"min"}`,
	}
	status, body := get(t, s, "/api/best?space=dag&task=acc&k=9")
	a := parse(t, body)
	if status != http.StatusOK || a.Model != nil || len(a.Candidates) != 3 {
		t.Fatalf("%d %s", status, body)
	}
	topics[Candidates] = append(topics[Candidates], chain(4, `"id":"late",`))
	_, body = get(t, s, "/api/best?space=dag&task=acc&k=9")
	a = parse(t, body)
	var got []string
	for _, c := range a.Candidates {
		got = append(got, fmt.Sprint(c.ID, c.Labels["acc"]))
	}
	if !slices.Equal(got, []string{"late9", "a5", "7 4", "own2"}) {
		t.Errorf("%q", got)
	}
	if c := a.Candidates[1]; c.Labels["loss"] != .5 || len(c.Labels) != 2 || c.Proxies["flops"] != 3 || len(c.Network) != 32 {
		t.Errorf("%+v in %s", c, body)
	}
	if _, body = get(t, s, "/api/best?space=dag&task=acc&labelled=false"); len(parse(t, body).Candidates) != 0 {
		t.Errorf("without a model only labels rank: %s", body)
	}
	for target, want := range map[string]int{
		"/api/best?task=acc": 400, "/api/best?space=dag": 400, "/api/best?space=dag&task=acc&k=0": 400, "/api/best?space=dag&task=acc&labelled=maybe": 400,
		"/api/front?space=dag&tasks=acc": 400, "/api/front?space=dag&tasks=acc,nothing": 404, "/api/front?space=dag&tasks=acc,loss": 200,
	} {
		if status, body := get(t, s, target); status != want {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
}

// TestLabelsOfArchitectures: a label that names its candidate by hash may come before it,
// and a network has the mean over its architectures, each of which withdraws its own.
func TestLabelsOfArchitectures(t *testing.T) {
	const plain = `{"space":"dag","id":"plain","ops":["input","conv","output"],"edges":[[0,1],[1,2]]}`
	const withDead = `{"space":"dag","id":"dead","ops":["input","conv","output","pool"],"edges":[[0,1],[1,2],[0,3]]}`
	hash := func(message string) string {
		var rows schemas.Candidates
		if refused := schemas.NewDecoder(schemas.Limits{}).Candidate(&rows, []byte(message)); refused != nil {
			t.Fatal(refused)
		}
		return rows.Architecture[0].String()
	}
	o := options()
	topics := fakeTopics{Candidates: {chain(1, "")}, Labels: {
		`{"space":"dag","architecture":"` + hash(plain) + `","task":"acc","value":90}`,
		`{"space":"dag","architecture":"` + hash(withDead) + `","task":"acc","seed":1,"value":60}`,
		`{"space":"dag","id":"dead","task":"acc","seed":2,"value":80}`,
	}}
	o.Topics, o.Networks = topics, 100
	s := New(o)
	best := func(want int, value float64) {
		t.Helper()
		_, body := get(t, s, "/api/best?space=dag&task=acc&labelled=true")
		if a := parse(t, body); len(a.Candidates) != want || want > 0 && a.Candidates[0].Labels["acc"] != value {
			t.Errorf("%d of %v expected: %s", want, value, body)
		}
	}
	best(0, 0)
	topics[Candidates] = append(topics[Candidates], plain, withDead)
	best(1, 80)
	topics[Labels] = append(topics[Labels], `{"space":"dag","id":"dead","task":"acc","value":null}`)
	best(1, 90)
	topics[Labels] = append(topics[Labels], `{"space":"dag","id":"plain","task":"acc","value":null}`)
	best(0, 0)
}

// TestCatalogueForgets: beyond its bound the networks that came first go, and
// those with labels last.
func TestCatalogueForgets(t *testing.T) {
	o := options()
	topics := fakeTopics{}
	for i := range 64 {
		topics[Candidates] = append(topics[Candidates], chain(i, fmt.Sprintf(`"id":%d,`, i)))
	}
	topics[Labels] = []string{`{"space":"dag","id":2,"task":"acc","value":5}`}
	o.Topics, o.Networks = topics, 40
	s := New(o)
	get(t, s, "/api/best?space=dag&task=acc")
	for i := range 64 {
		topics[Candidates] = append(topics[Candidates], fmt.Sprintf(`{"space":"dag","id":"new%d","ops":["a","x%d","b"],"edges":[[0,1],[1,2]]}`, i, i))
	}
	_, body := get(t, s, "/api/best?space=dag&task=acc")
	if a := parse(t, body); len(a.Candidates) != 1 {
		t.Errorf("the labelled one is gone: %s", body)
	}
	k := s.catalogue.spaces["dag"]
	if n := len(k.entries); n < 40 || n > 45 || len(k.byNetwork) != n || len(k.byArchitecture) != n || len(k.byID) != n {
		t.Errorf("%d entries, %d networks, %d architectures, %d ids", len(k.entries), len(k.byNetwork), len(k.byArchitecture), len(k.byID))
	}
}

// TestAskWithoutModel: the first trials are drawn at random, repeatably, and no
// network is given out twice or after its label or as another's trial.
func TestAskWithoutModel(t *testing.T) {
	server := func() *Server {
		o := options()
		topics := fakeTopics{Trials: {chain(9, `"search":"s","trial":1,`)}, Labels: {chain(8, `"task":"acc","value":1,`)}}
		for i := range 40 {
			topics[Candidates] = append(topics[Candidates], chain(i, ""), chain(i, `"id":"twice",`))
		}
		o.Topics, o.Networks = topics, 100
		return New(o)
	}
	ask := func(s *Server, body string) (networks []string) {
		status, _, text := post(t, s, "/api/ask", typeJSON, body)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		for _, c := range parse(t, text).Candidates {
			networks = append(networks, c.Network)
		}
		return networks
	}
	s := server()
	const question = `{"space":"dag","task":"acc","n":10,"seed":3}`
	first := ask(s, question)
	if again := ask(server(), question); !slices.Equal(first, again) {
		t.Errorf("one seed, two answers: %q %q", first, again)
	}
	all := slices.Clone(first)
	for range 4 {
		all = append(all, ask(s, question)...)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); len(all) != 38 || n != 38 {
		t.Errorf("%d candidates of %d networks were given out, want 38", len(all), n)
	}
	for body, want := range map[string]int{
		`{"task":"acc"}`: 400, `{"space":"dag"}`: 400, `{"space":"dag","task":"a","n":-1}`: 400, `{"space":"dag","task":"a","strategy":"luck"}`: 400,
		`{"space":"dag","task":"a","m":1}`: 400, `{"space":"dag","task":"a","constraints":{"size":{"max":1}}}`: 404, `[]`: 400, ``: 400,
	} {
		if status, _, text := post(t, s, "/api/ask", typeJSON, body); status != want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
}

// scored returns a view of entries with two tasks, of which less of the second
// is better: x is both value and score, spread the standard deviation.
func scored(n int, f func(i int) (accuracy, latency, sd float64)) *view {
	v := &view{known: &known{byNetwork: map[schemas.ID]*entry{}, tasks: map[string]bool{}}, model: "dag/1"}
	v.tasks = []encoders.Task{{Name: "accuracy"}, {Name: "latency", Minimise: true}}
	for i := range n {
		a, l, sd := f(i)
		v.entries = append(v.entries, &entry{
			message: fmt.Appendf(nil, `{"proxies":{"n":%d}}`, i), labels: map[string]results{},
			scores: []score{{a, a, sd, sd, 0}, {-l, l, sd, sd, 0}},
		})
	}
	return v
}

// train gives an entry a label.
func (e *entry) train(task string, value float64) {
	e.learn(schemas.ID{}, trained{task: task, result: result{value: value}})
}

// asked is what a view answers now, of all that it knows.
func asked(t *testing.T, v *view, a askRequest) []*entry {
	t.Helper()
	list, err := v.ask(t.Context(), v.entries, a, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAcquisition: each strategy prefers the networks that it is for.
func TestAcquisition(t *testing.T) {
	v := scored(4, func(i int) (float64, float64, float64) {
		return []float64{9, 8, 8.9, 5}[i], 1, []float64{0, 3, .5, 1}[i]
	})
	order := func(a askRequest) (places []int) {
		if a.Tasks == nil {
			a.Tasks = []string{"accuracy"}
		}
		a.N = 4
		for _, e := range asked(t, v, a) {
			places = append(places, slices.Index(v.entries, e))
		}
		return places
	}
	v.entries[3].train("accuracy", 9.2)
	for strategy, want := range map[string][]int{StrategyTop: {0, 2, 1}, StrategyUCB: {1, 2, 0}, StrategyEI: {1, 2, 0}} {
		if got := order(askRequest{Strategy: strategy}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", strategy, got, want)
		}
	}
	first := map[int]int{}
	for seed := range uint64(300) {
		first[order(askRequest{Strategy: StrategyThompson, Seed: seed})[0]]++
	}
	if first[0] < 50 || first[1] < 50 || first[2] < 30 {
		t.Errorf("draws: %v", first)
	}
	eight, nine := 8.5, 9.5
	if got := order(askRequest{Strategy: StrategyTop, Constraints: map[string]bound{"accuracy": {Min: &eight, Max: &nine}}}); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("constrained by a task: %v", got)
	}
	one := 1.
	if got := order(askRequest{Strategy: StrategyTop, Constraints: map[string]bound{"n": {Max: &one}}}); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("constrained by a proxy: %v", got)
	}
	v.entries[0].asked = time.Now()
	if got := order(askRequest{Strategy: StrategyTop}); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("with one given out: %v", got)
	}
	v.entries[1].scores[0].fails = .999
	v.entries[0].asked = time.Time{}
	if got := order(askRequest{Strategy: StrategyEI}); !slices.Equal(got, []int{2, 1, 0}) && !slices.Equal(got, []int{2, 0, 1}) {
		t.Errorf("with one that will fail: %v", got)
	}
	if g := (gain{median: 1, up: 2, down: 7}).improvement(1); math.Abs(g-2/math.Sqrt(2*math.Pi)) > 1e-12 {
		t.Errorf("expected improvement at the best: %v", g)
	}
	random := rand.New(rand.NewPCG(2, 2))
	for _, g := range []gain{{median: 1, up: 2, down: 7}, {median: 3, up: .5, down: 4}, {median: 3, up: 4, down: .5}, {median: 3, down: 2}} {
		const draws = 200_000
		sum := 0.
		for range draws {
			sum += max(g.draw(random)-2, 0)
		}
		if got := g.improvement(2); math.Abs(got-sum/draws) > .03 {
			t.Errorf("expected improvement of %+v over 2: %v, by draws %v", g, got, sum/draws)
		}
	}
}

// TestAcquisitionOfTheBad: a network that is bad, and perhaps very bad, is not chosen
// before one that is perhaps the best.
func TestAcquisitionOfTheBad(t *testing.T) {
	v := scored(2, func(i int) (float64, float64, float64) { return []float64{62, 90.8}[i], 1, 1 })
	v.entries[0].scores[0] = scoreOf(0, 62, 0, 90.1, 0)
	v.entries[1].scores[0] = scoreOf(1, 90.8, 87.6, 91.6, 0)
	best := 90.3
	if bad, good := v.gain(v.entries[0], "accuracy").improvement(best), v.gain(v.entries[1], "accuracy").improvement(best); bad >= good {
		t.Errorf("expected improvement of the bad network %v, of the good one %v", bad, good)
	}
}

// TestFront compares the front with its definition, and a batch of two tasks lies
// along it.
func TestFront(t *testing.T) {
	const n = 200
	v := scored(n, func(i int) (float64, float64, float64) {
		return float64(i * 37 % 101), float64(i * 53 % 97), 0
	})
	dominates := func(a, b *entry) bool {
		x, y := a.scores, b.scores
		return x[0].score >= y[0].score && x[1].score >= y[1].score && (x[0].score > y[0].score || x[1].score > y[1].score)
	}
	front := v.front([]string{"accuracy", "latency"})
	for _, e := range v.entries {
		dominated := slices.ContainsFunc(v.entries, func(f *entry) bool { return dominates(f, e) })
		if in := slices.Contains(front, e); in == dominated && !(!in && slices.ContainsFunc(front, func(f *entry) bool { return f.scores[0] == e.scores[0] && f.scores[1] == e.scores[1] })) {
			t.Errorf("%v: dominated %v, in the front %v", e.scores, dominated, in)
		}
	}
	for _, e := range asked(t, v, askRequest{Tasks: []string{"accuracy", "latency"}, N: len(front) / 2, Strategy: StrategyTop}) {
		if !slices.Contains(front, e) {
			// Later picks of one weight may be the next best.
			if k := slices.IndexFunc(front, func(f *entry) bool { return dominates(f, e) }); k < 0 {
				t.Errorf("%v is neither on the front nor behind it", e.scores)
			}
		}
	}
	v.tasks = v.tasks[:1]
	if got := v.front([]string{"accuracy", "latency"}); got != nil {
		t.Errorf("a task without a model has a front of %d", len(got))
	}
}

// TestHypervolumeImprovement compares the closed form with draws.
func TestHypervolumeImprovement(t *testing.T) {
	area := func(front [][2]float64, worst [2]float64) (a float64) {
		floor := worst[1]
		for _, p := range front {
			if p[0] > worst[0] && p[1] > floor {
				a += (p[0] - worst[0]) * (p[1] - floor)
				floor = p[1]
			}
		}
		return a
	}
	random := rand.New(rand.NewPCG(1, 1))
	worst := [2]float64{-1, -2}
	for trial := range 20 {
		points := [][2]float64{worst}
		for range trial % 5 {
			points = append(points, [2]float64{random.NormFloat64(), random.NormFloat64()})
		}
		front := frontOfPoints(points)
		g := [2]gain{{median: random.NormFloat64(), up: .1 + random.Float64(), down: random.Float64()}, {median: random.NormFloat64(), up: float64(trial % 3), down: float64(trial % 2)}}
		const draws = 40000
		mean, before := 0., area(front, worst)
		for range draws {
			p := [2]float64{g[0].draw(random), g[1].draw(random)}
			mean += (area(frontOfPoints(append(front[:len(front):len(front)], p)), worst) - before) / draws
		}
		if got := hypervolumeImprovement(g, front, worst); math.Abs(got-mean) > .03+.03*mean {
			t.Errorf("front %v, %+v: %v, by draws %v", front, g, got, mean)
		}
	}
}

// TestAskOfTwo: a batch of two tasks adds to the trained networks, a cost that comes
// with the candidates counts as it is, and a candidate that is certain to add nothing is
// not asked for.
func TestAskOfTwo(t *testing.T) {
	v := scored(40, func(i int) (float64, float64, float64) { return float64(i), float64(i * i), .01 })
	label := func(i int, accuracy, latency float64) {
		v.entries[i].train("accuracy", accuracy)
		v.entries[i].train("latency", latency)
	}
	label(10, 10, 100)
	label(20, 20, 400)
	label(30, 30, 900)
	for _, tasks := range [][]string{{"accuracy", "latency"}, {"accuracy", "n"}} {
		list := asked(t, v, askRequest{Tasks: tasks, N: 4, Strategy: StrategyEI})
		var places []int
		for _, e := range list {
			places = append(places, slices.Index(v.entries, e))
		}
		slices.Sort(places)
		if len(slices.Compact(slices.Clone(places))) != 4 || slices.ContainsFunc(list, func(e *entry) bool { return len(e.labels) > 0 }) {
			t.Errorf("%v: %v", tasks, places)
		}
		if places[len(places)-1] < 25 || places[0] > 20 {
			t.Errorf("%v: %v lie not along the front", tasks, places)
		}
	}
}

// TestAskOfTrained: beside a cost, which no training tells, the task alone decides what
// has been trained; what failed is not asked for again; a cost alone is a task to come.
func TestAskOfTrained(t *testing.T) {
	for _, task := range []string{"accuracy", "later"} { // with a model and without
		v := scored(40, func(i int) (float64, float64, float64) { return float64(i), float64(i * i), .01 })
		for i := range 30 {
			v.entries[i].train(task, float64(i))
		}
		for i := 30; i < 35; i++ {
			v.entries[i].learn(schemas.ID{}, trained{task: task, result: result{failed: true}})
		}
		for _, strategy := range Strategies {
			list := asked(t, v, askRequest{Tasks: []string{task, "n"}, N: 40, Strategy: strategy})
			if len(list) != 5 || slices.ContainsFunc(list, func(e *entry) bool { return len(e.labels) > 0 }) {
				t.Errorf("%s of %s and a cost: %d, want the 5 that are not trained", strategy, task, len(list))
			}
			if list = asked(t, v, askRequest{Tasks: []string{task, "latency"}, N: 40, Strategy: strategy}); len(list) > 35 {
				t.Errorf("%s: of %d for a second task some have failed", strategy, len(list))
			}
		}
		if list := asked(t, v, askRequest{Tasks: []string{"n"}, N: 3, Strategy: StrategyEI}); len(list) != 3 {
			t.Errorf("of a cost alone: %d", len(list))
		}
	}
}

// TestHypervolumeBatch: a batch is that of the definition, which looks at every entry
// before each choice; a request that has gone ends it.
func TestHypervolumeBatch(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	v := scored(300, func(int) (float64, float64, float64) {
		return math.Round(9 * random.NormFloat64()), math.Round(9 * random.NormFloat64()), 3 * random.Float64()
	})
	for i := range 10 {
		v.entries[i].train("accuracy", random.NormFloat64())
		v.entries[i].train("latency", random.NormFloat64())
	}
	o := v.objectives(nil, []string{"accuracy", "latency"})
	open := slices.Clone(v.entries[10:])
	const n = 25
	got, ok, err := v.byHypervolume(t.Context(), open, o, n, askRequest{})
	if !ok || err != nil || len(got) != n {
		t.Fatal(len(got), ok, err)
	}
	worst, front := v.trainedFront(o)
	for i, e := range got {
		adds := func(e *entry) float64 {
			x, _ := v.gainOf(e, o[0])
			y, _ := v.gainOf(e, o[1])
			return hypervolumeImprovement([2]gain{x, y}, front, worst)
		}
		for _, other := range open {
			if !slices.Contains(got[:i], other) && adds(other) > adds(e)+1e-9 {
				t.Fatalf("choice %d adds %v, another %v", i, adds(e), adds(other))
			}
		}
		x, _ := v.gainOf(e, o[0])
		y, _ := v.gainOf(e, o[1])
		front = frontOfPoints(append(front, [2]float64{x.median, y.median}))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := v.byHypervolume(gone, open, o, n, askRequest{}); err == nil {
		t.Error("a request that has gone is answered")
	}
}

// TestAskOfGivenCosts: a cost may be one that only the candidates of the client carry.
func TestAskOfGivenCosts(t *testing.T) {
	v := scored(6, func(i int) (float64, float64, float64) { return float64(i), 1, .01 })
	for i := range 3 {
		v.entries[i].train("accuracy", float64(i))
	}
	given := []*entry{
		{message: []byte(`{"proxies":{"size":9}}`), scores: []score{{4, 4, .1, .1, 0}, {}}},
		{message: []byte(`{"proxies":{"size":1}}`), scores: []score{{5, 5, .1, .1, 0}, {}}}, // better and smaller
	}
	for _, strategy := range []string{StrategyEI, StrategyTop, StrategyUCB} {
		for seed := range uint64(5) {
			list, err := v.ask(t.Context(), given, askRequest{Tasks: []string{"accuracy", "size"}, N: 1, Strategy: strategy, Seed: seed}, time.Now())
			if err != nil || len(list) != 1 || list[0] != given[1] {
				t.Errorf("%s: %v, %v", strategy, list, err)
			}
		}
	}
}

// TestColdStart: before there is a model half of a batch comes from the best by the
// proxies, unless the labels contradict them.
func TestColdStart(t *testing.T) {
	v := scored(400, func(i int) (float64, float64, float64) { return 0, 0, 0 })
	v.tasks = nil
	best := func() (n int) {
		list := asked(t, v, askRequest{Tasks: []string{"accuracy"}, N: 10, Strategy: StrategyEI, Seed: 3})
		if len(list) != 10 {
			t.Fatalf("%d of 10", len(list))
		}
		for _, e := range list {
			if x, _ := e.proxy("n"); x >= 360 {
				n++
			}
		}
		return n
	}
	if n := best(); n < 5 || n > 8 {
		t.Errorf("%d of 10 are of the best by the proxy", n)
	}
	for i := range 10 {
		v.entries[30*i].train("accuracy", float64(-i))
	}
	if n := best(); n > 4 {
		t.Errorf("%d of 10 are of the best by a proxy that is wrong", n)
	}
}
