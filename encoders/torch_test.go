package encoders

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// vectors are the output of testdata/make_vectors.py.
type vectors struct {
	Width, Layers, K, Proxies int
	Operations                []string
	Attributes                []attribute
	Graphs                    []struct {
		Ops        []string
		Edges      []int32
		Attributes []struct {
			Node       int32
			Name, Text string
			Number     float64
		}
	}
	Flow   []float32
	Ranked [][]*float32
	Cases  []struct {
		Encoder        string
		Gradients      map[string][]float32
		Z, Flow, Proxy []float32            // Z outside training
		FlowLoss       float64              `json:"flow_loss"`
		ProxyLoss      float64              `json:"proxy_loss"`
		Once           map[string][]float32 `json:"after_one_step"`
		Twice          map[string][]float32 `json:"after_two_steps_of_the_same_gradient"`
	}
}

// TestPyTorch compares values to 1e-5 and gradients to 1e-4 with PyTorch's.
func TestPyTorch(t *testing.T) { comparePyTorch(t, "testdata/vectors.json") }

// TestPyTorchWithAttributes does so for operations with attributes.
func TestPyTorchWithAttributes(t *testing.T) { comparePyTorch(t, "testdata/attributed.json") }

func comparePyTorch(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	g := &schemas.Graphs{}
	for _, graph := range v.Graphs {
		var ops []schemas.Symbol
		for _, op := range graph.Ops {
			ops = append(ops, schemas.MustIntern(op))
		}
		x := schemas.Graph{Ops: ops, Edges: graph.Edges}
		for _, a := range graph.Attributes {
			y := schemas.Attribute{Node: a.Node, Name: schemas.MustIntern(a.Name), Text: schemas.NoSymbol, Number: a.Number}
			if a.Text != "" {
				y.Kind, y.Text = schemas.TextKind, schemas.MustIntern(a.Text)
			}
			x.Attributes = append(x.Attributes, y)
		}
		g.Add(x)
	}
	proxies := make([][]float32, v.Proxies)
	for p, values := range v.Ranked {
		for _, value := range values {
			if value == nil {
				proxies[p] = append(proxies[p], float32(math.NaN()))
			} else {
				proxies[p] = append(proxies[p], *value)
			}
		}
	}
	for _, c := range v.Cases {
		t.Run(c.Encoder, func(t *testing.T) {
			vocabulary, err := withAttributes(v.Operations, v.Attributes)
			if err != nil {
				t.Fatal(err)
			}
			n, err := newNetwork(shape{c.Encoder, v.Width, v.Layers, 0, []outputShape{{"flow", 7, v.K}, {"proxy", 5, v.Proxies}}, nil}, vocabulary)
			if err != nil {
				t.Fatal(err)
			}
			weights := make([]float32, n.layout.size)
			for _, s := range n.layout.slots {
				fromName(s.in(weights), s.name)
			}
			rows := allRows(g.Len())
			trunk := &Trunk{
				config:   TrunkConfig{K: v.K, Proxies: v.Proxies, RawFlow: true, FlowWeight: .5, ProxyWeight: .5, ProxyLoss: "hinge", Margin: .5},
				training: newTraining(n, weights, rand.NewPCG(1, 1), 1e-2, .1, 0),
			}
			z := make([]float32, g.Len()*trunk.Dimension())
			trunk.Embed(z, g, rows)
			near(t, "embedding", z, c.Z, 1e-5)
			losses := trunk.step(g, rows, v.Flow, proxies)
			f := trunk.training
			near(t, "flow", f.output[0], c.Flow, 1e-5)
			near(t, "proxy", f.output[1], c.Proxy, 1e-5)
			near(t, "losses", []float32{float32(losses.Flow), float32(losses.Proxy)}, []float32{float32(c.FlowLoss), float32(c.ProxyLoss)}, 1e-5)
			f.steps++
			rate, decay, correction := adamFactors(f.steps, f.rate, f.decay)
			once := append([]float32(nil), f.weights...)
			kernels.AdamW(f.weights, f.gradient, f.m, f.v, rate, decay, correction)
			for _, s := range n.layout.slots {
				got, again, first, second := s.in(once), s.in(f.weights), c.Once[s.name], c.Twice[s.name]
				if s.off < n.layout.observed {
					near(t, "observed "+s.name, got, first, 1e-5)
					continue
				}
				near(t, "gradient of "+s.name, s.in(f.gradient), c.Gradients[s.name], 1e-4)
				// Adam's steps take a gradient's sign, which is arbitrary where the
				// gradient is nothing but rounding.
				for i, d := range c.Gradients[s.name] {
					if len(first) > 0 && math.Abs(float64(d)) > 1e-5 {
						near(t, "step of "+s.name, got[i:i+1], first[i:i+1], 1e-4)
						near(t, "second step of "+s.name, again[i:i+1], second[i:i+1], 1e-4)
					}
				}
			}
		})
	}
}

// fromName fills in the weights that testdata/make_vectors.py gives a name.
func fromName(w []float32, name string) {
	phase, middle := 0, 0.
	for _, b := range []byte(name) {
		phase += int(b)
	}
	if strings.HasSuffix(name, ".variance") || strings.HasSuffix(name, ".gain") {
		middle = 1
	}
	for i := range w {
		w[i] = float32(middle + .5*math.Sin(float64(phase)+12.9898*float64(i)))
	}
}

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*(1+math.Abs(float64(want[i])))) {
			t.Errorf("%s: value %d is %v, PyTorch's %v", what, i, got[i], want[i])
			return
		}
	}
}
