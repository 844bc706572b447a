package learner

import (
	"math/rand/v2"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/schemas"
)

// Predictors: the models that learn from labels.
const (
	PredictorBest = "best" // closed-form heads on many features, distilled into the encoder
	PredictorFGP  = "fgp"  // the published method: the pre-trained encoder fine-tuned
)

// Config says how to learn a space. Zero values take the defaults in brackets.
type Config struct {
	Space       string
	Flow        *flow.Flow // the surrogate to reconstruct
	Predictor   string     // [best]
	Encoder     string     // one of encoders.Names [resgated]
	Width       int        // [encoders.DefaultSize]
	Layers      int        // [encoders.DefaultSize]
	Epochs      int        // of pre-training over the buffer [40]
	Buffer      int        // distinct networks kept [20000]
	Remember    int        // candidates whose id a label can name [200000]
	Waiting     int        // labels that wait for their candidates [100000]
	FirstLabels int        // labels before the first fit [16]
	Growth      float64    // share by which labels grow until the next [0.25]
	Seed        uint64
	// Pace, if given, is called between the steps of Work, mini-batches and the
	// like, may take its time, and returns the cores that the next may use; 0
	// means all. It changes no result.
	Pace func() int

	given        bool // networks are architectures as given
	batch        int  // of pre-training, the paper's [256]
	minLessons   int  // mini-batches that a student learns at least [7.5 Epochs, up to 300]
	distilEpochs int  // how often a student sees every network of the buffer [2.5 Epochs]
}

func (c *Config) defaults() {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Encoder == "" {
		c.Encoder = "resgated"
	}
	width, layers := encoders.DefaultSize(c.Encoder)
	set(&c.Width, width)
	set(&c.Layers, layers)
	set(&c.Epochs, 40)
	set(&c.Buffer, 20000)
	set(&c.Remember, 200000)
	set(&c.Waiting, 100000)
	set(&c.FirstLabels, 16)
	set(&c.batch, 256)
	set(&c.minLessons, min(c.Epochs*15/2, 300))
	set(&c.distilEpochs, c.Epochs*5/2) // 100 of 40, as encoders.Distil does unasked
	if c.Growth == 0 {
		c.Growth = 0.25
	}
	if c.Predictor == "" {
		c.Predictor = PredictorBest
	}
}

// Learner learns one space.
type Learner struct {
	cfg      Config
	source   *rand.PCG // of every draw that is not the trunk's
	random   *rand.Rand
	buffer   buffer
	networks map[schemas.ID]*network // in the buffer
	memory   *memory
	names    *names  // the inner learner has those of the space
	tasks    []*task // in order of their names
	waiting  *waiting
	pretrain pretraining
	champion *encoders.Model
	given    *Learner        // of the tasks of architectures as given; nil before the first
	served   *encoders.Model // the champions of both; nil without an inner learner
	replaced string          // the encoder that renew gave up
	early    bool            // the last fit came before pre-training caught up
	ripe     bool            // the champion's fit did not

	fitting  *fitting         // under way
	untaught bool             // the champion's student has not learnt its scores
	student  *student         // under way
	pupil    *encoders.Member // the last student with all of its lessons; nil before the first
	grownUp  bool             // its trunk was a finished one
	number   int64            // of the newest model

	workspace *encoders.Workspace
}

// New returns a learner without data.
func New(cfg Config) *Learner {
	cfg.defaults()
	l := &Learner{
		cfg:       cfg,
		source:    rand.NewPCG(cfg.Seed, hashName(cfg.Space)),
		networks:  map[schemas.ID]*network{},
		memory:    newMemory(cfg.Remember),
		names:     newNames(),
		waiting:   newWaiting(cfg.Waiting),
		workspace: encoders.NewWorkspace(0),
	}
	l.random = rand.New(l.source)
	l.buffer = buffer{capacity: cfg.Buffer, random: l.random}
	return l
}

// hashName makes the streams of different spaces differ (FNV-1a).
func hashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// Space returns the name of the space.
func (l *Learner) Space() string { return l.cfg.Space }

// Networks returns the number of distinct networks in the replay buffer.
func (l *Learner) Networks() int { return len(l.buffer.networks) }

// Champion returns the model that serves, nil before the first.
func (l *Learner) Champion() *encoders.Model { return l.serving() }

// Observe learns that candidate i of c exists. Labels that came before it are
// applied; they are returned, because only now their predictions can be scored.
func (l *Learner) Observe(c *schemas.Candidates, i int) []Outcome {
	n := l.networks[c.Network[i]]
	if n == nil {
		_, n = l.memory.find(nil, c.Architecture[i]) // it was left out before
	}
	if n == nil {
		graph := c.Networks.At(i)
		n = &network{id: c.Network[i], graph: l.names.graph(&graph), slot: -1}
		l.offer(n)
	}
	given := int(c.ProxyStart[i+1] - c.ProxyStart[i])
	before := n.size()
	if given > 0 && n.learn(given, func(f func(schemas.Symbol, float64)) { l.names.proxies(c, i, f) }) {
		l.pretrain.changed()
		l.grown(n, before)
	}
	l.memory.add(c.ID.At(i), c.Architecture[i], n)
	l.remember(c, i)
	if l.waiting.held == 0 {
		return nil
	}
	return append(l.settle(waitingID(c.ID.At(i)), c.Architecture[i], n), l.settle(waitingArchitecture(c.Architecture[i]), c.Architecture[i], n)...)
}

// grown adds the growth of a network to the size of the buffer.
func (l *Learner) grown(n *network, before int) {
	if n.slot >= 0 {
		l.buffer.bytes += n.size() - before
	}
	if n.named > 0 {
		l.memory.bytes += n.size() - before
	}
}

// offer shows a new network to the buffer.
func (l *Learner) offer(n *network) {
	out, added := l.buffer.offer(n)
	if out != nil {
		delete(l.networks, out.id)
	}
	if added {
		l.networks[n.id] = n
		l.pretrain.owe(l.cfg.Epochs, l.cfg.batch, len(l.buffer.networks))
	}
}

// keep makes sure that a labelled network is in the buffer, and returns the one
// that is, should the buffer hold another copy.
func (l *Learner) keep(n *network) *network {
	if same := l.networks[n.id]; same != nil {
		return same
	}
	if out := l.buffer.keep(n); out != nil {
		delete(l.networks, out.id)
	}
	l.networks[n.id] = n
	l.pretrain.owe(l.cfg.Epochs, l.cfg.batch, len(l.buffer.networks))
	return n
}
