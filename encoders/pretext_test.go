package encoders

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"archflow/encoders/safetensors"
	"archflow/schemas"
)

// pretextCase is a case of testdata/make_pretexts.py.
type pretextCase struct {
	Pretext string
	Decoder [2]int // hidden, out
	Graphs  []struct {
		Ops   []string
		Edges []int32
	}
	Weights, Gradients map[string][]float32
	Output             []float32
	Loss               float64
	Hidden             []int32   // gmae
	Noise              []float32 // arch2vec
}

// remember sets the targets of a pretext for a view of g.
func remember(p pretext, g *schemas.Graphs, v *Vocabulary, hidden []int32, noise []float32) *schemas.Graphs {
	switch p := p.(type) {
	case *graphCL:
		p.shown = *g
		return &p.shown
	case *gmae:
		p.shown, p.hidden = g.Select(allRows(g.Len())), hidden
		for i, code := range hidden {
			if code >= 0 {
				p.shown.Ops[i] = schemas.NoSymbol
			}
		}
		return &p.shown
	case *arch2Vec:
		p.view(g, allRows(g.Len()), v, rand.New(rand.NewPCG(1, 1)))
		p.noise = noise
		return &p.shown
	}
	panic("a pretext that the tests do not know")
}

// TestPretextsInPyTorch compares values to 1e-5 and gradients to 1e-4.
func TestPretextsInPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/pretexts.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Width, Layers int
		Operations    []string
		Cases         []pretextCase
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) != len(Pretexts) {
		t.Errorf("%d cases for %d pretexts", len(vectors.Cases), len(Pretexts))
	}
	for _, c := range vectors.Cases {
		t.Run(c.Pretext, func(t *testing.T) {
			g := &schemas.Graphs{}
			for _, graph := range c.Graphs {
				var ops []schemas.Symbol
				for _, op := range graph.Ops {
					ops = append(ops, schemas.MustIntern(op))
				}
				g.Append(ops, graph.Edges)
			}
			vocabulary, err := NewVocabulary(vectors.Operations...)
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPretext(c.Pretext, vocabulary.Len())
			if err != nil {
				t.Fatal(err)
			}
			decoder, readout := p.decoder(vocabulary.Len())
			s := shape{"resgated", vectors.Width, vectors.Layers, 0, []outputShape{{decoder.Name, c.Decoder[0], c.Decoder[1]}}, nil}
			if readout.Name != "" {
				s.Readout = &outputShape{readout.Name, c.Decoder[1] / 2, readout.Out}
			}
			n, err := newNetwork(s, vocabulary)
			if err != nil {
				t.Fatal(err)
			}
			weights := make([]float32, n.layout.size)
			for _, s := range n.layout.slots {
				if copy(s.in(weights), c.Weights[s.name]) != s.rows*s.cols {
					t.Fatalf("%s: %d weights, want %d x %d", s.name, len(c.Weights[s.name]), s.rows, s.cols)
				}
			}
			f := newTraining(n, weights, rand.NewPCG(1, 1), 1e-3, 0, 0)
			f.nodewise = p.nodewise()
			view := remember(p, g, vocabulary, c.Hidden, c.Noise)
			f.forward(view, allRows(view.Len()))
			near(t, "output", f.output[0], c.Output, 1e-5)
			w, dw := f.readouts()
			loss := p.loss(f.doutput[0], f.output[0], w, dw)
			near(t, "loss", []float32{float32(loss)}, []float32{float32(c.Loss)}, 1e-5)
			f.backward()
			for _, s := range n.layout.slots {
				near(t, "gradient of "+s.name, s.in(f.gradient), c.Gradients[s.name], 1e-4)
			}
		})
	}
}

// TestPretextsOfRenumberedGraphs gives the nodes of every view another order:
// the loss stays, and so does the gradient.
func TestPretextsOfRenumberedGraphs(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 9))
	g, other := randomGraphs(40, 9, 5), &schemas.Graphs{}
	var hidden, otherHidden []int32
	var noise, otherNoise []float32
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		from := len(hidden)
		for range ops {
			hidden = append(hidden, int32(random.IntN(7)-1))
			for range latentWidth {
				noise = append(noise, float32(random.NormFloat64()))
			}
		}
		place := random.Perm(len(ops))
		newOps, newEdges := make([]schemas.Symbol, len(ops)), []int32{}
		newHidden, newNoise := make([]int32, len(ops)), make([]float32, len(ops)*latentWidth)
		for u, op := range ops {
			newOps[place[u]], newHidden[place[u]] = op, hidden[from+u]
			copy(newNoise[place[u]*latentWidth:], noise[(from+u)*latentWidth:][:latentWidth])
		}
		for _, u := range edges {
			newEdges = append(newEdges, int32(place[u]))
		}
		other.Append(newOps, newEdges)
		otherHidden, otherNoise = append(otherHidden, newHidden...), append(otherNoise, newNoise...)
	}
	for _, name := range Pretexts {
		trunk, err := NewTrunk(TrunkConfig{Pretext: name, Width: 16, Dropout: -1, Operations: testOperations, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		f := trunk.training
		measured := func(g *schemas.Graphs, hidden []int32, noise []float32) (float64, []float32) {
			view := remember(trunk.pretext, g, f.vocabulary, hidden, noise)
			f.forward(view, allRows(view.Len()))
			w, dw := f.readouts()
			loss := trunk.pretext.loss(f.doutput[0], f.output[0], w, dw)
			weights := append([]float32(nil), f.weights...)
			f.backward()
			copy(f.weights, weights)
			return loss, append([]float32(nil), f.gradient...)
		}
		loss, gradient := measured(g, hidden, noise)
		again, turned := measured(other, otherHidden, otherNoise)
		if math.Abs(loss-again) > 1e-5 {
			t.Errorf("%s: loss %v, renumbered %v", name, loss, again)
		}
		near(t, name+" renumbered", turned, gradient, 1e-4)
	}
}

// TestPretextsLearn trains, compares cores to the bit, and resumes from a file without a
// difference.
func TestPretextsLearn(t *testing.T) {
	g := randomGraphs(400, 9, 11)
	train := func(trunk *Trunk, steps int, seed uint64) []Losses {
		var losses []Losses
		random := rand.New(rand.NewPCG(seed, seed))
		for range steps {
			losses = append(losses, trunk.Step(g, random.Perm(g.Len())[:256], nil, nil))
		}
		return losses
	}
	for _, name := range Pretexts {
		for _, encoder := range testEncoders {
			c := TrunkConfig{Pretext: name, Encoder: encoder, Width: 16, Layers: 2, Operations: testOperations, LearningRate: 3e-3, Cores: 1}
			trunk, err := NewTrunk(c)
			if err != nil {
				t.Fatal(err)
			}
			c.Cores = 3
			other, err := NewTrunk(c)
			if err != nil {
				t.Fatal(err)
			}
			steps := 2
			if encoder == "gin" {
				steps = 40
			}
			losses := train(trunk, steps, 1)
			if first, last := losses[0].Total, losses[steps-1].Total; steps == 40 && !(last < .95*first) {
				t.Errorf("%s, %s: loss %v to %v", name, encoder, first, last)
			}
			train(other, steps, 1)
			if fmt.Sprint(other.training.weights) != fmt.Sprint(trunk.training.weights) {
				t.Errorf("%s, %s: the number of cores changes the bits", name, encoder)
			}
			metadata, tensors, err := trunk.State()
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := safetensors.Write(&file, metadata, tensors); err != nil {
				t.Fatal(err)
			}
			metadata, tensors, err = safetensors.Read(&file)
			if err != nil {
				t.Fatal(err)
			}
			restored, err := RestoreTrunk(metadata, tensors, 1)
			if err != nil {
				t.Fatal(err)
			}
			clone := trunk.Clone()
			want := fmt.Sprint(train(trunk, 1, 2), trunk.training.weights)
			for what, again := range map[string]*Trunk{"restored": restored, "cloned": clone} {
				if got := fmt.Sprint(train(again, 1, 2), again.training.weights); got != want {
					t.Errorf("%s, %s: the %s trunk ends with other bits", name, encoder, what)
				}
			}
		}
	}
}

// TestViews checks the encoder's input.
func TestViews(t *testing.T) {
	g := randomGraphs(200, 9, 21)
	v, err := NewVocabulary(testOperations...)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(2, 2))
	contrast := &graphCL{}
	view := contrast.view(g, allRows(200), v, random)
	if view.Len() != 400 {
		t.Fatalf("%d views of 200 graphs", view.Len())
	}
	less := 0
	for i := range view.Len() {
		ops, edges := view.Graph(i)
		all, allEdges := g.Graph(i / 2)
		if len(ops) == 0 {
			t.Fatalf("view %d is empty", i)
		}
		for e := 0; e < len(edges); e += 2 {
			if edges[e] >= edges[e+1] || int(edges[e+1]) >= len(ops) {
				t.Fatalf("view %d: edge %v of %d nodes", i, edges[e:e+2], len(ops))
			}
		}
		if len(ops) < len(all) || len(edges) < len(allEdges) || fmt.Sprint(ops) != fmt.Sprint(all) {
			less++
		}
	}
	if less < 200 {
		t.Errorf("%d of 400 views lack something", less)
	}
	masked := &gmae{}
	view = masked.view(g, allRows(200), v, random)
	hidden := 0
	for i, code := range masked.hidden {
		if (code >= 0) != (view.Ops[i] == schemas.NoSymbol) || code >= 0 && code != v.Code(g.Ops[i]) {
			t.Fatalf("node %d: operation %d is shown, %d is the target, %d the truth", i, view.Ops[i], code, v.Code(g.Ops[i]))
		}
		if code >= 0 {
			hidden++
		}
	}
	if share := float64(hidden) / float64(len(masked.hidden)); math.Abs(share-.6) > .1 {
		t.Errorf("%v of the operations are hidden", share)
	}
}

func TestPretextsThatCannotWork(t *testing.T) {
	for _, c := range []TrunkConfig{
		{Pretext: "guessing"}, {Pretext: "gmae"}, {Pretext: "arch2vec"}, {Pretext: "graphcl", K: 3},
	} {
		if _, err := NewTrunk(c); err == nil {
			t.Errorf("%+v makes a trunk", c)
		}
	}
}
