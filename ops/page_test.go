package ops

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"archflow/internal/finite"
)

var (
	screenshots = flag.String("screenshots", "", "write screenshots of the live page to this folder")
	axe         = flag.String("axe", "", "check the live page with this axe.min.js (npm pack axe-core)")
)

// need returns the path of a program. Where it is missing the test ends: as a
// failure with CI=true, else with a line that says how to get it.
func need(t *testing.T, how string, names ...string) (string, bool) {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	text := fmt.Sprintf("left out, %s is missing: %s", names[0], how)
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Log(text)
	return "", false
}

// sampleState is a busy minute of a made-up process.
func sampleState(second float64) State {
	random := rand.New(rand.NewPCG(1, 2))
	float := func(v float64) *float64 { return &v }
	noise := func(s float64) float64 { return s * random.NormFloat64() }
	s := State{
		Time: 1_800_000_000_000 + int64(second*1000), Version: "archflow 0.1.0", Role: "all", TraceURL: "http://traces.example/trace/{trace}", Uptime: 754 + second, Phase: Running, Ready: true,
		Totals: Totals{Candidates: 3_104_551, Predictions: 3_098_023 + int64(second*52000), Labels: 118, DeadLetters: 37, Rate: 51_840 + 900*math.Sin(second)},
		Stages: []StageState{
			{Name: "source", In: 52200, Out: 52200, Busy: .31, Idle: .47, Blocked: .22},
			{Name: "decode", After: []string{"source"}, In: 52200, Out: 52190, Busy: .52, Idle: .18, Blocked: .30, Queue: 4, Capacity: 4},
			{Name: "surrogate", After: []string{"decode"}, In: 52190, Out: 51900, Busy: .94, Idle: .05, Blocked: .01, Queue: 4, Capacity: 4, Bottleneck: true},
			{Name: "predict", After: []string{"surrogate"}, In: 51900, Out: 51840, Busy: .41, Idle: .55, Blocked: .04, Queue: 1, Capacity: 4},
			{Name: "predictions topic", After: []string{"predict"}, In: 51840, Out: 51840, Busy: .22, Idle: .78, Queue: 0, Capacity: 4},
			{Name: "predictions", After: []string{"predictions topic"}, In: 51840, Out: 51840, Busy: .35, Idle: .65, Queue: 2, Capacity: 4},
			{Name: "dead_letters", After: []string{"predictions"}, In: 1.4, Out: 1.4, Busy: .01, Idle: .99, Capacity: 4},
			{Name: "trainer source", In: 52200, Out: 52200, Busy: .11, Idle: .89},
			{Name: "trainer decode", After: []string{"trainer source"}, In: 52200, Out: 52200, Busy: .41, Idle: .59, Capacity: 4},
			{Name: "labels", In: 1.2, Out: 1.2, Idle: 1},
			{Name: "train", After: []string{"trainer decode", "labels"}, In: 52201, Out: 52201, Busy: .48, Idle: .52, Queue: 3, Capacity: 4},
			{Name: "checkpoints", After: []string{"train"}, In: 1, Out: 1, Idle: 1, Capacity: 4},
		},
		Models: []ModelState{
			{Space: "nb201", Version: 17, Made: 1_800_000_000_000 - 90_000, Tasks: []string{"cifar10_test"}, Networks: 8192, Labels: 118, Steps: 42_118, Doing: "fine-tuning cifar10_test",
				Pinned: true, Waiting: "nb201/19", Stored: []StoredModelState{{"nb201/19", 1_800_000_000_000 - 40_000}, {"nb201/17", 1_800_000_000_000 - 90_000}, {"nb201/16", 1_800_000_000_000 - 890_000}}},
			{Space: "micro", Networks: 311, Steps: 900, Doing: "pre-training"},
		},
	}
	for p := range int32(6) {
		s.Lag = append(s.Lag, LagState{Topic: "archflow.architectures", Partition: p, Messages: int64(4000 - 600*int(p)), Seconds: .1 * float64(p)})
	}
	for _, part := range []struct {
		name string
		at   float64
	}{{"flow", 1.4}, {"proxies", .8}, {"total", 2.2}} {
		l := LossState{Space: "nb201", Part: part.name}
		for i := range 120 {
			l.Points = append(l.Points, [2]float64{float64(i * 350), part.at*math.Exp(-float64(i)/30) + .12 + math.Abs(noise(.02))})
		}
		s.Losses = append(s.Losses, l)
	}
	s.Losses = append(s.Losses, LossState{Space: "micro", Part: "flow", Points: [][2]float64{{0, 2}, {100, 1.2}, {200, .9}}})
	for i, task := range []string{"nb201/cifar10_test", "nb201/edgegpu_latency_of_a_device_with_a_long_name"} {
		score := ScoreState{Task: task, Tau: float(.242 - .1*float64(i)), TauRandom: float(.742 - .1*float64(i)), TauError: float(.06), P5: float(.6), Coverage: float(.91), Pairs: 102}
		for j := range 30 {
			score.History = append(score.History, [2]float64{float64(4 * j), .74 - .1*float64(i) - .6*math.Exp(-float64(j)/6) + noise(.01)})
		}
		s.Scores = append(s.Scores, score)
	}
	pairs := PairsState{Task: "nb201/cifar10_test"}
	for range 100 {
		truth := 94 - 6*random.ExpFloat64()
		predicted := truth + noise(1.2)
		pairs.Points = append(pairs.Points, [4]float64{predicted, truth, predicted - 2.1, predicted + 1.9})
	}
	s.Pairs = []PairsState{pairs}
	operations := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	for i := range 9 {
		top := .42 - .03*float64(i)
		cell := Cell{Ops: []string{"input"}, Edges: [][2]int{{0, 1}, {0, 2}, {0, 4}, {1, 3}, {1, 5}, {2, 6}, {3, 6}, {4, 7}, {5, 7}, {6, 7}}}
		for range 6 {
			cell.Ops = append(cell.Ops, operations[1+random.IntN(4)])
		}
		cell.Ops = append(cell.Ops, "output")
		s.Best = append(s.Best, BestState{ID: fmt.Sprint("nb201-", 15000-i), Space: "nb201", Network: fmt.Sprintf("%032x", i), Model: "nb201/17", Task: "cifar10_test", Value: finite.Float(94.4 - .06*float64(i)), Low: 93.6, High: 94.9, Percentile: finite.Float(99.98 - .01*float64(i)), Top: &top, Labelled: i == 2, Label: 94.31, Cells: []Cell{cell}})
	}
	m := MapState{Space: "nb201", Seen: 3_098_023}
	for range 500 {
		x, y := noise(.3), noise(.2)
		if random.IntN(3) == 0 {
			x += .5
		}
		m.Points = append(m.Points, MapPoint{float32(x), float32(y), float32(min(max(50+60*x+noise(20), 0), 100))})
	}
	s.Maps = []MapState{m}
	s.DeadLetters = []DeadLetterState{
		{s.Time - 4000, "archflow.architectures", 2, 518_223, "cycle", "architectures/2 offset 518223: the graph has a cycle through nodes 3, 5 and 3; a candidate is a DAG, so turn one of these edges", `{"space":"dag","ops":["input","conv","<script>alert(1)</script>"],"edges":[[0,1],[1,0]]}`, "0af7651916cd43dd8448eb211c80319c"},
		{s.Time - 90000, "archflow.architectures", 0, 518_001, "unknown operation", "architectures/0 offset 518001: nb201 has no operation nor_conv_5x5; it has none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3", `{"space":"nb201","arch":"|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|"}`, ""},
	}
	return s
}

// sampleBoard serves the search of sampleState.
func sampleBoard() http.Handler {
	long := "a-candidate-whose-name-tells-all-of-its-hyperparameters-depth-12-heads-3-3-6-6-resolution-224-activation-gelu"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/board", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("space") != "nb201" {
			writeJSON(w, http.StatusOK, object{"space": q.Get("space"), "task": "", "tasks": []string{}, "best": []object{}, "progress": [][2]float64{}})
			return
		}
		candidate := func(b *BestState, i int) object {
			id := any(b.ID)
			if i == 1 {
				id = long
			}
			c := object{"space": "nb201", "id": id, "arch": "|a~0|", "architecture": b.Network, "network": b.Network,
				"tasks": object{"cifar10_test": object{"score": 1, "value": b.Value, "low": b.Low, "high": b.High, "percentile": b.Percentile, "top": b.Top}}}
			if b.Labelled {
				c["labels"] = object{"cifar10_test": b.Label}
			}
			return object{"candidate": c, "cells": b.Cells, "trace": "0af7651916cd43dd8448eb211c80319c"}
		}
		state, best := sampleState(0), []object{}
		for i := range state.Best {
			best = append(best, candidate(&state.Best[i], i))
		}
		answer := object{"space": "nb201", "task": "cifar10_test", "tasks": []string{"cifar10_test", "edgegpu_latency_of_a_device_with_a_long_name"}, "model": "nb201/17", "networks": 6466, "labels": 118, "best": best,
			"progress": [][2]float64{{1, 84.2}, {3, 91.5}, {14, 93.1}, {41, 94.1}, {62, 94.3}, {118, 94.3}}}
		if q.Get("id") != "" {
			answer["found"] = []object{}
			if q.Get("id") == "nb201-15000" {
				answer["found"] = best[:1]
			}
		}
		if other := q.Get("with"); other != "" {
			f := object{"tasks": []string{"cifar10_test", other}, "minimise": []bool{false, true}, "predicted": [][2]float64{{94.4, 6.1}, {94.1, 4.4}, {93.3, 3.9}, {92.1, 3.1}}, "trained": [][2]float64{{94.31, 6.6}, {93, 4.4}, {92.8, 5.7}, {40, 1}}}
			answer["front"] = f
		}
		writeJSON(w, http.StatusOK, answer)
	})
	mux.HandleFunc("GET /api/models", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, []object{
			{"space": "nb201", "task": "cifar10_test", "decision": "promoted", "why": "nb201/17 was fitted to 118 labels: it knows more labels and ranks 60 held-out ones no worse (tau .71 against .70)", "model": "nb201/17", "labels": 118, "tau": .714, "time": "2027-01-15T08:00:00.5Z"},
			{"space": "nb201", "task": "edgegpu_latency_of_a_device_with_a_long_name", "decision": "waiting", "why": "it has 4 labels: it has fewer than the 16 labels that it needs", "model": "nb201/17", "labels": 0, "tau": nil, "time": "2027-01-15T07:59:00Z"},
		})
	})
	return mux
}

// setFloats sets every floating-point number that v holds to x.
func setFloats(v reflect.Value, x float64) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		setFloats(v.Elem(), x)
	case reflect.Struct:
		for i := range v.NumField() {
			setFloats(v.Field(i), x)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			setFloats(v.Index(i), x)
		}
	case reflect.Float32, reflect.Float64:
		v.SetFloat(x)
	}
}

// TestUndefinedNumbers: a number that JSON does not have costs itself, in the
// state, its stream and the answers.
func TestUndefinedNumbers(t *testing.T) {
	s, url := serve(t, nil)
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		state := sampleState(0)
		setFloats(reflect.ValueOf(&state), x)
		s.Publish(state)
		status, body := ask(t, "GET", url+"/api/state", "")
		var back State
		if status != 200 || json.Unmarshal([]byte(body), &back) != nil {
			t.Fatalf("%v: status %d, %.200s", x, status, body)
		}
		if len(back.Best) != 9 || !math.IsNaN(float64(back.Best[0].Value)) || back.Scores[0].Tau != nil || back.Totals.Predictions == 0 {
			t.Errorf("%v: read back as %+v", x, back.Scores)
		}
	}
}

// answerSample predicts like a process that knows nothing but one refusal.
func answerSample(_ context.Context, candidate []byte) (Answer, error) {
	if !json.Valid(candidate) {
		return Answer{Class: "json", Reason: "the value is not JSON: a quote is missing at byte 12"}, nil
	}
	return Answer{
		Prediction: json.RawMessage(`{"architecture":"00112233445566778899aabbccddeeff","model":"nb201/17","tasks":{"cifar10_test":{"score":1.2,"value":93.71,"low":92.4,"high":94.2,"percentile":88.1,"top":0.021},"imagenet":{"reason":"4 of 16 labels","value":null}}}`),
		Cells:      sampleState(0).Best[0].Cells,
	}, nil
}

// browser returns a headless Chromium and a function that stops it and returns the
// complaints on its console.
func browser(t *testing.T, program string) (context.Context, func() []string) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	clock, stopClock := context.WithTimeout(context.Background(), 3*time.Minute)
	ctx, stop := chromedp.NewContext(clock, chromedp.WithAllocatorOptions(options...))
	messages := chromedp.Console(ctx)
	var complaints []string
	read := make(chan struct{})
	go func() {
		defer close(read)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				complaints = append(complaints, m.String())
			}
		}
	}()
	end := sync.OnceValue(func() []string {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("stopping the browser: %v", err)
		}
		stop()
		stopClock()
		<-read
		return complaints
	})
	t.Cleanup(func() { end() })
	return ctx, end
}

// TestPage looks at the live page in a real browser.
func TestPage(t *testing.T) {
	program, ok := need(t, "apt-get install chromium", "chromium", "chromium-browser", "google-chrome")
	if !ok {
		return
	}
	s, url := serve(t, nil)
	_, mute := serve(t, nil)
	s.Publish(sampleState(0))
	s.Predict(answerSample)
	s.API(sampleBoard())
	ctx, complaints := browser(t, program)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprint(width, " ", scheme), func(t *testing.T) {
				type looks struct {
					Overflow  bool
					Script    bool
					Phase     string
					Rate      string
					Slowest   string
					Cells     int
					Unlabeled []string
				}
				do(t, ctx, chromedp.EmulateViewport(width, 900))
				if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}); err != nil {
					t.Fatal(err)
				}
				do(t, ctx, chromedp.Navigate(url))
				until(t, ctx, "document.querySelectorAll('.board li').length == 9 && document.querySelector('#progress svg') && document.querySelector('#front svg') && document.querySelectorAll('.decisions li').length == 2")
				facts := get(t, ctx, chromedp.Evaluate[looks](`({
						overflow: document.documentElement.scrollWidth > innerWidth,
						script: !!document.querySelector("#dead script"),
						phase: document.getElementById("phase").textContent,
						rate: document.querySelector("#totals dd").textContent,
						slowest: document.querySelector(".slowest h3").textContent,
						cells: document.querySelectorAll(".board svg.cell rect").length,
						unlabeled: [...document.querySelectorAll("svg.chart, svg.cell, select, textarea, button")].filter(e =>
							!e.getAttribute("aria-label") && !(e.labels && e.labels.length) && !e.textContent.trim()).map(e => e.outerHTML.slice(0, 80)),
					})`))
				if facts.Overflow {
					t.Error("the page is wider than the window")
				}
				if facts.Script {
					t.Error("a dead letter's text became part of the page")
				}
				if facts.Phase != "ready" || facts.Rate != "51.8 k" || facts.Slowest != "surrogate" || facts.Cells != 9*8 {
					t.Errorf("the page shows %+v", facts)
				}
				if len(facts.Unlabeled) > 0 {
					t.Errorf("without a name for screen readers: %v", facts.Unlabeled)
				}
				if *axe != "" {
					code, err := os.ReadFile(*axe)
					if err != nil {
						t.Fatal(err)
					}
					get(t, ctx, chromedp.Evaluate[any](string(code)+";0"))
					violations := get(t, ctx, chromedp.Evaluate[[]string](`axe.run().then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary + " " + n.html.slice(0, 120))))`, chromedp.EvalAwaitPromise))
					for _, v := range violations {
						t.Error(v)
					}
				}
				if *screenshots != "" {
					picture := get(t, ctx, chromedp.FullScreenshot(100))
					if err := os.WriteFile(filepath.Join(*screenshots, fmt.Sprintf("page-%d-%s.png", width, scheme)), picture, 0o644); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	t.Run("follows the states", func(t *testing.T) {
		next := sampleState(1)
		next.Ready, next.Reasons = false, map[string]string{"table": "cannot be written"}
		s.Publish(next)
		until(t, ctx, "!document.getElementById('reasons').hidden")
		phase, why := words(t, ctx, "#phase"), words(t, ctx, "#reasons")
		if phase != "not ready" || why != "table: cannot be written" {
			t.Errorf("phase %q, reasons %q", phase, why)
		}
		s.Publish(sampleState(2))
		until(t, ctx, "document.querySelectorAll('.board li').length == 9")
	})
	t.Run("searches", func(t *testing.T) {
		if best := words(t, ctx, "#best"); !strings.Contains(best, "trained: 94.31") || !strings.Contains(best, "trace") {
			t.Errorf("the best: %.300s", best)
		}
		if link := get(t, ctx, chromedp.Evaluate[string]("document.querySelector('#dead a').href")); link != "http://traces.example/trace/0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("a dead letter leads to %q", link)
		}
		do(t, ctx, chromedp.SetValue("#wanted", "nb201-15000"), chromedp.Focus("#wanted"), chromedp.KeyEvent("\r"))
		until(t, ctx, "document.querySelectorAll('#found li').length == 1")
		do(t, ctx, chromedp.SetValue("#wanted", "nobody"), chromedp.Click("#search button"))
		until(t, ctx, "document.querySelector('#found .bad')")
		get(t, ctx, chromedp.Evaluate[any](`$("wanted").value = ""; $("search").requestSubmit(); 0`))
		do(t, ctx, chromedp.Click("#copy-best"))
		until(t, ctx, "document.getElementById('copied').textContent.includes('9 candidates')")
		get(t, ctx, chromedp.Evaluate[any](`chosenScope({space: "micro"}); 0`))
		until(t, ctx, "document.querySelector('#best .empty') && document.querySelector('#progress .empty') && document.querySelector('#scores .empty')")
		if where := get(t, ctx, chromedp.Evaluate[string]("location.hash")); where != "#space=micro&task=" {
			t.Errorf("the address is %q", where)
		}
		const back = "document.querySelectorAll('.board li').length == 9 && document.querySelector('#progress svg')"
		get(t, ctx, chromedp.Evaluate[any](`chosenScope({space: "nb201"}); 0`))
		until(t, ctx, back)
		// A choice counts that is made while the page waits for the answer to the one before.
		// Until then the panels do not say that there is nothing.
		if said := get(t, ctx, chromedp.Evaluate[string](`chosenScope({space: "micro"}); const said = $("best").textContent; chosenScope({space: "nb201"}); said`)); said != "Asking." {
			t.Errorf("before its board is there, the best of a space is %q", said)
		}
		until(t, ctx, back)
	})
	t.Run("lives through a promotion", func(t *testing.T) {
		next := sampleState(1)
		next.Models[0].Version, next.Best = 18, nil
		s.Publish(next)
		until(t, ctx, "document.getElementById('models').textContent.includes('nb201/18')")
		if n := get(t, ctx, chromedp.Evaluate[int]("document.querySelectorAll('#best .board li').length")); n != 9 {
			t.Errorf("%d of 9 are left", n)
		}
		s.Publish(sampleState(2))
	})
	t.Run("asks by keyboard", func(t *testing.T) {
		do(t, ctx, chromedp.Focus("#candidate"),
			chromedp.KeyEvent("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
		until(t, ctx, "document.querySelector('#answer svg.cell')")
		answer := words(t, ctx, "#answer")
		do(t, ctx, chromedp.SetValue("#candidate", "{"), chromedp.Click("#ask button"))
		until(t, ctx, "document.querySelector('#answer .bad')")
		refusal := words(t, ctx, "#answer")
		if !strings.Contains(answer, "93.7") || !strings.Contains(answer, "4 of 16 labels") {
			t.Errorf("answer %q", answer)
		}
		if !strings.Contains(refusal, "a quote is missing") {
			t.Errorf("refusal %q", refusal)
		}
	})
	t.Run("large graphs and attributes are read", func(t *testing.T) {
		got := get(t, ctx, chromedp.Evaluate[struct {
			Boxes, Small, Attributes int
			Wide                     bool
			Words, Knobs             string
		}](`(() => {
			const ops = ["input"], edges = [], notes = [""];
			for (let b = 0; b < 50; b++) { // blocks of two operations beside a skip
				const from = ops.length - 1;
				ops.push("Conv", "Relu", "Add");
				notes.push("kernel 3", "", "");
				edges.push([from, from + 1], [from + 1, from + 2], [from + 2, from + 3], [from, from + 3]);
			}
			const box = document.createElement("div");
			box.style.width = "300px";
			box.innerHTML = drawCell({ops, edges, notes, hyperparameters: "depth 50, <b>"}, "large");
			document.body.append(box);
			const rects = [...box.querySelectorAll("rect")].map(r => r.getBoundingClientRect());
			const out = {boxes: rects.length, small: rects.filter(r => r.height < 16 || r.width < 30).length,
				words: box.querySelectorAll("svg text")[1].textContent, knobs: box.querySelector(".knobs").textContent,
				attributes: box.querySelector(".attributes").textContent.split("\n").length, wide: box.scrollWidth > box.clientWidth};
			box.remove();
			return out;
		})()`))
		if got.Boxes != 101 || got.Small != 0 || got.Wide || got.Words != "Conv + 1" || got.Knobs != "depth 50, <b>" || got.Attributes != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("chooses a model by keyboard", func(t *testing.T) {
		var asked ModelChoice
		s.Models(func(_ context.Context, c ModelChoice) (ModelState, error) {
			if asked = c; c.Do == ChooseRelease {
				return ModelState{}, fmt.Errorf("%w: no model of %s is pinned", ErrConflict, c.Space)
			}
			return ModelState{Space: c.Space, Version: 16, Pinned: true}, nil
		})
		open := func(button string) {
			t.Helper()
			do(t, ctx, chromedp.Focus(button), chromedp.KeyEvent("\r"))
			until(t, ctx, "document.getElementById('sure').open")
		}
		open(`#choices button[data-from]`)
		do(t, ctx, chromedp.KeyEvent("\x1b"))
		until(t, ctx, "!document.getElementById('sure').open")
		if asked != (ModelChoice{}) {
			t.Errorf("Escape asked for %+v", asked)
		}
		open(`#choices button[data-do="roll-back"]`)
		if why := words(t, ctx, "#sure"); !strings.Contains(why, "Roll back to nb201/16?") {
			t.Errorf("the question is %q", why)
		}
		do(t, ctx, chromedp.Focus("#sure-yes"), chromedp.KeyEvent("\r"))
		until(t, ctx, "document.getElementById('chosen').textContent.includes('nb201/16 answers, pinned')")
		if want := (ModelChoice{Space: "nb201", Do: ChoosePromote, Model: "nb201/16"}); asked != want {
			t.Errorf("asked for %+v, want %+v", asked, want)
		}
		open(`#choices button[data-do="release"]`)
		do(t, ctx, chromedp.Click("#sure-yes"))
		until(t, ctx, "document.getElementById('chosen').textContent.includes('no model of nb201 is pinned')")
	})
	t.Run("undefined numbers", func(t *testing.T) {
		for _, x := range []float64{math.NaN(), math.Inf(1), math.MaxFloat64, 1e17, 1e17 + 16} {
			odd := sampleState(3)
			setFloats(reflect.ValueOf(&odd), x)
			odd.Version = fmt.Sprint("with ", x)
			s.Publish(odd)
			until(t, ctx, fmt.Sprintf("document.getElementById('about').textContent.startsWith('with %v ')", x))
			until(t, ctx, "document.querySelectorAll('.board li').length == 9 && document.querySelectorAll('#scores tbody tr').length == 2")
			if bad := get(t, ctx, chromedp.Evaluate[[]string]("[...document.querySelectorAll('main .bad')].map(e => e.textContent).filter(t => t.includes('cannot be shown'))")); len(bad) > 0 {
				t.Errorf("%v: %q", x, bad)
			}
		}
	})
	t.Run("says that it cannot read", func(t *testing.T) {
		do(t, ctx, chromedp.Navigate(url))
		until(t, ctx, "document.querySelectorAll('.board li').length == 9")
		get(t, ctx, chromedp.Evaluate[any](`stream.dispatchEvent(new MessageEvent("unreadable", {data: "a cycle"})); 0`))
		if why := words(t, ctx, "#reasons"); !strings.Contains(why, "could not be read") || !strings.Contains(why, "a cycle") {
			t.Errorf("reasons %q", why)
		}
		if phase := words(t, ctx, "#phase"); phase != "state not read" {
			t.Errorf("phase %q", phase)
		}
		s.Publish(sampleState(4))
		until(t, ctx, "document.getElementById('phase').textContent == 'ready'")
	})
	t.Run("claims nothing before it has read", func(t *testing.T) {
		do(t, ctx, chromedp.Navigate(mute))
		until(t, ctx, "document.querySelector('#lag .empty')")
		if shown := get(t, ctx, chromedp.Evaluate[int]("[...document.querySelectorAll('.empty')].filter(e => e.offsetParent).length")); shown > 0 {
			t.Errorf("%d panels claim to be empty", shown)
		}
	})
	t.Run("starts empty", func(t *testing.T) {
		s.Publish(State{Phase: Starting})
		do(t, ctx, chromedp.Navigate(url))
		until(t, ctx, "document.querySelector('#totals dd')")
		if phase := words(t, ctx, "#phase"); phase != "starting" {
			t.Errorf("phase %q", phase)
		}
	})
	refused := func(said string) bool { return strings.Contains(said, "status of 409") } // asked for above
	if c := slices.DeleteFunc(complaints(), refused); len(c) > 0 {
		t.Errorf("the console says: %s", strings.Join(c, "\n"))
	}
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// until waits for an expression to be true on the page.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")")); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}

func get[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func words(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return get(t, ctx, chromedp.Text(selector))
}
