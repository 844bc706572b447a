package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"

	"archflow/schemas"
)

// TrunkConfig says how a trunk is built and pre-trained. Zero values take the
// defaults in brackets.
type TrunkConfig struct {
	Encoder      string   // one of Names [resgated]
	Width        int      // of a node's state [DefaultSize]
	Layers       int      // [DefaultSize]
	Dropout      float64  // [.1]; negative: none
	K            int      // length of a flow surrogate; 0: no flow decoder
	Proxies      int      // zero-cost proxies that the proxy decoder ranks; 0: none
	FlowWeight   float64  // of the flow loss [.5]
	ProxyWeight  float64  // of the proxies' mean loss [.5]
	ProxyLoss    string   // hinge (pairwise) or gauss (squares onto the batch's rank-Gauss) [hinge]
	Margin       float64  // of the hinge [.5]
	Pairs        int      `json:",omitempty"` // random ones for each graph in the hinge; 0: all
	Pretext      string   `json:",omitempty"` // one of Pretexts instead of flow and proxies, "" for these
	RawFlow      bool     // fit surrogates as they are; otherwise each dimension is standardised first
	LearningRate float64  // [1e-3]
	WeightDecay  float64  // [1e-6]
	Seed         uint64   // of weights, dropout and everything else
	Operations   []string // known from the start; others are learnt as they come
	Cores        int      `json:"-"` // goroutines of a call [GOMAXPROCS]; results do not depend on it
}

func (c TrunkConfig) withDefaults() TrunkConfig {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orFloat := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Encoder == "" {
		c.Encoder = "resgated"
	}
	if c.ProxyLoss == "" {
		c.ProxyLoss = "hinge"
	}
	width, layers := DefaultSize(c.Encoder)
	orInt(&c.Width, width)
	orInt(&c.Layers, layers)
	orFloat(&c.Dropout, .1)
	orFloat(&c.FlowWeight, .5)
	orFloat(&c.ProxyWeight, .5)
	orFloat(&c.Margin, .5)
	orFloat(&c.LearningRate, 1e-3)
	orFloat(&c.WeightDecay, 1e-6)
	return c
}

// Validate names the first setting that cannot work.
func (c TrunkConfig) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Width < 1 || c.Width > 4096:
		return fmt.Errorf("encoder width %d: want 1 to 4096", c.Width)
	case c.Layers < 1 || c.Layers > 64:
		return fmt.Errorf("encoder layers %d: want 1 to 64", c.Layers)
	case c.Dropout >= 1 || math.IsNaN(c.Dropout):
		return fmt.Errorf("dropout %v: want less than 1", c.Dropout)
	case c.K < 0 || c.K > 4096:
		return fmt.Errorf("surrogate length %d: want 0 to 4096", c.K)
	case c.Pairs < 0 || c.Pairs > 4096:
		return fmt.Errorf("%d pairs for each graph: want 0 to 4096", c.Pairs)
	case c.Proxies < 0 || c.Proxies > 4096:
		return fmt.Errorf("number of proxies %d: want 0 to 4096", c.Proxies)
	case c.ProxyLoss != "hinge" && c.ProxyLoss != "gauss":
		return fmt.Errorf("proxy loss %.40q is unknown: choose hinge or gauss", c.ProxyLoss)
	case !(c.LearningRate > 0) || !(c.WeightDecay >= 0):
		return fmt.Errorf("learning rate %v, weight decay %v: want a rate above 0 and a decay of at least 0", c.LearningRate, c.WeightDecay)
	case c.Pretext != "" && (c.K > 0 || c.Proxies > 0):
		return fmt.Errorf("pretext %.40q learns neither surrogates nor proxies: want K and Proxies 0", c.Pretext)
	}
	if _, err := newPretext(c.Pretext, len(c.Operations)+1); err != nil {
		return err
	}
	_, err := newEncoder(c.Encoder, c.Width, c.Layers, c.Dropout)
	return err
}

func (c TrunkConfig) shape() shape {
	s := shape{Encoder: c.Encoder, Width: c.Width, Layers: c.Layers, Dropout: max(c.Dropout, 0)}
	if c.K > 0 {
		s.Outputs = append(s.Outputs, outputShape{"flow", 128, c.K})
	}
	if c.Proxies > 0 {
		s.Outputs = append(s.Outputs, outputShape{"proxy", 64, c.Proxies})
	}
	if p, _ := newPretext(c.Pretext, len(c.Operations)+1); p != nil {
		decoder, readout := p.decoder(len(c.Operations) + 1)
		s.Outputs = append(s.Outputs, decoder)
		if readout.Name != "" {
			s.Readout = &readout
		}
	}
	return s
}

// Trunk is an encoder in pre-training, with its flow and proxy decoders. It is
// used by one goroutine at a time.
type Trunk struct {
	config   TrunkConfig
	training *training
	pretext  pretext // nil without
	moments  moments
	targets  []float32 // [batch, k], then one proxy of the batch
	scores   []float32
	dscores  []float32
	ranking  ranking
	infer    inference
	order    []int // of the rows of a step, similar graphs together
	keys     []uint64
	rows     []int // in that order
}

// Losses are means over a mini-batch.
type Losses struct {
	Rows  int // graphs that were learnt from
	Total float64
	Flow  float64 // squared distance from the (standardised) surrogate, summed over its dimensions
	Proxy float64 // mean over the proxies that ranked anything
	// Of a pretext, Total is the loss.
	// Skipped says that the gradient was not finite and nothing was changed.
	Skipped bool
}

// NewTrunk returns a trunk with random weights.
func NewTrunk(c TrunkConfig) (*Trunk, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	v, err := NewVocabulary(c.Operations...)
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(c.shape(), v)
	if err != nil {
		return nil, err
	}
	random := rand.NewPCG(c.Seed, 0x7472756e6b)
	weights := n.init(rand.New(random))
	t := &Trunk{
		config:   c,
		training: newTraining(n, weights, random, c.LearningRate, c.WeightDecay, c.Cores),
		moments:  newMoments(c.K),
	}
	return t, t.takePretext()
}

// takePretext gives a trunk the pretext of its configuration.
func (t *Trunk) takePretext() (err error) {
	t.pretext, err = newPretext(t.config.Pretext, len(t.config.Operations)+1)
	t.training.nodewise = t.pretext != nil && t.pretext.nodewise()
	return err
}

// Config returns the configuration with its defaults filled in.
func (t *Trunk) Config() TrunkConfig { return t.config }

// Steps returns the number of updates made.
func (t *Trunk) Steps() int64 { return t.training.steps }

// SetCores sets TrunkConfig.Cores for the steps to come.
func (t *Trunk) SetCores(cores int) { t.training.pool.cores = cores }

// Dimension returns the length of an embedding.
func (t *Trunk) Dimension() int { return t.training.encoder.dimension() }

// Step pre-trains on the graphs of g that rows names. flow holds the surrogates
// of all of g, [g.Len(), K]; proxies[p] the values of proxy p for all of g, more
// is better, NaN where it is missing. Operations that are new to the trunk are
// learnt. Of very large graphs (thousands of nodes in all) it takes only as many
// of the leading rows as fit a bounded memory, and says so in Losses.Rows.
func (t *Trunk) Step(g *schemas.Graphs, rows []int, flow []float32, proxies [][]float32) Losses {
	if len(flow) != g.Len()*t.config.K && t.config.K > 0 || len(proxies) != t.config.Proxies {
		panic(fmt.Sprintf("encoders: Step of %d graphs with %d surrogate values and %d proxies, want %d and %d",
			g.Len(), len(flow), len(proxies), g.Len()*t.config.K, t.config.Proxies))
	}
	rows = rows[:fitting(t.training.encoder, g, rows)]
	t.training.learn(g, rows)
	t.order, t.keys = similar(t.order, t.keys, t.training.vocabulary, g, rows)
	t.rows = t.rows[:0]
	for _, r := range t.order {
		t.rows = append(t.rows, rows[r])
	}
	if t.pretext != nil {
		return t.pretextStep(g, t.rows)
	}
	return t.step(g, t.rows, flow, proxies)
}

func (t *Trunk) step(g *schemas.Graphs, rows []int, flow []float32, proxies [][]float32) Losses {
	t.training.forward(g, rows)
	losses := Losses{Rows: len(rows)}
	output := 0
	if t.config.K > 0 {
		losses.Flow = t.flowLoss(t.training.doutput[0], t.training.output[0], rows, flow)
		output++
	}
	if t.config.Proxies > 0 {
		losses.Proxy = t.proxyLoss(t.training.doutput[output], t.training.output[output], rows, proxies)
	}
	losses.Total = t.config.FlowWeight*losses.Flow + t.config.ProxyWeight*losses.Proxy
	losses.Skipped = !t.training.backward()
	return losses
}

func (t *Trunk) flowLoss(doutput, output []float32, rows []int, flow []float32) float64 {
	k := t.config.K
	t.targets = resized(t.targets, len(rows)*k)
	for r, i := range rows {
		copy(t.targets[r*k:][:k], flow[i*k:])
	}
	if !t.config.RawFlow {
		t.moments.see(t.targets)
		t.moments.standardise(t.targets)
	}
	return squares(doutput, output, t.targets, len(rows), float32(t.config.FlowWeight))
}

func (t *Trunk) proxyLoss(doutput, output []float32, rows []int, proxies [][]float32) float64 {
	n, p := len(rows), len(proxies)
	t.targets, t.scores, t.dscores = resized(t.targets, n), resized(t.scores, n), resized(t.dscores, n)
	ranked, total := 0, 0.
	for _, count := range [2]bool{true, false} {
		for j, values := range proxies {
			for r, i := range rows {
				t.targets[r], t.scores[r] = values[i], output[r*p+j]
			}
			if !varies(t.targets) {
				continue
			}
			if count {
				ranked++
				continue
			}
			clear(t.dscores)
			weight := float32(t.config.ProxyWeight) / float32(ranked)
			margin := float32(t.config.Margin)
			switch {
			case t.config.ProxyLoss == "gauss":
				total += t.ranking.gauss(t.dscores, t.scores, t.targets, weight)
			case t.config.Pairs > 0:
				total += t.ranking.sampled(t.dscores, t.scores, t.targets, margin, weight, t.config.Pairs, rand.New(t.training.random))
			default:
				total += t.ranking.hinge(t.dscores, t.scores, t.targets, margin, weight)
			}
			for r, d := range t.dscores {
				doutput[r*p+j] = d
			}
		}
	}
	return total / float64(max(ranked, 1))
}

// varies says whether two of the values that are numbers differ.
func varies(values []float32) bool {
	first := float32(math.NaN())
	for _, v := range values {
		if v != v {
			continue
		}
		if first == first && v != first {
			return true
		}
		first = v
	}
	return false
}

// Embed writes the embeddings of the named graphs to dst [len(rows),
// Dimension]. It does not change the trunk, but uses its memory.
func (t *Trunk) Embed(dst []float32, g *schemas.Graphs, rows []int) {
	f := t.training
	f.tableMemory = f.table(f.tableMemory, f.weights)
	from := 0
	for _, to := range cut(nil, f.encoder, g, rows) {
		copy(dst[from*t.Dimension():], t.infer.embed(f.network, f.weights, f.tableMemory, g, rows[from:to]))
		from = to
	}
}

// Rest gives back the memory of steps and embeddings; the next ones take it anew. It
// changes no result.
func (t *Trunk) Rest() {
	t.infer = inference{}
	t.training.rest()
}
