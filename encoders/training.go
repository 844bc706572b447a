package encoders

import (
	"math"
	"math/rand/v2"
	"time"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

const (
	// maxShards is into how many parts a batch is cut. It is no setting: the
	// order in which gradients are added decides their last bits.
	maxShards = 4
	// shardGraphs is the least that is worth a shard: the graphs of one share
	// their states.
	shardGraphs = 128
	// sharing is the number of nodes of a shard that may share a state, and so a draw of
	// dropout. With more, fewer states are computed; docs/performance.md has the effect
	// on the ranking.
	sharing = 16
	// betweenSteps is for how long an idle worker stays awake: the time of the sequential
	// part of a step.
	betweenSteps = time.Millisecond
	// updateBlock is how many parameters are summed and updated at a time.
	updateBlock = 16 << 10
	// observedShare is the weight of a step in running statistics, as PyTorch's.
	observedShare = .1
)

// training is a network with its weights, their moments and all the memory of a
// step. A step is forward, a loss that fills doutput, and backward.
type training struct {
	*network
	weights, m, v []float32
	steps         int64
	random        *rand.PCG
	rate, decay   float64
	clip          float64 // longest gradient of a step; 0: any

	pool         *workerPool
	shards       []*shard
	active       int
	tableMemory  []float32
	gradient     []float32
	norms        []float64
	nodewise     bool        // perceptrons read the embeddings of nodes
	output       [][]float32 // of each perceptron, [batch, out]; nodewise: [nodes, out]
	doutput      [][]float32
	dreadout     []float32 // gradient of the readout, which the loss adds to
	graphs       *schemas.Graphs
	rows         []int
	adam         struct{ rate, decay, correction float32 }
	forwardPart  func(i, worker int)
	backwardPart func(i, worker int)
	sumPart      func(i, worker int)
	updatePart   func(i, worker int)
}

// shard is a part of a batch and the memory of its goroutine.
type shard struct {
	from, to int // of the rows of the batch
	at, end  int // of the rows of the outputs
	batch    batch
	tape     tape
	memory   arena
	random   rand.PCG
	z        []float32
	hidden   [][]float32
	gradient []float32
	dtable   []float32
}

func newTraining(n *network, weights []float32, random *rand.PCG, rate, decay float64, cores int) *training {
	t := &training{network: n, weights: weights, random: random, rate: rate, decay: decay, pool: newWorkerPool(cores, betweenSteps)}
	t.m, t.v = make([]float32, len(weights)), make([]float32, len(weights))
	t.output, t.doutput = make([][]float32, len(n.outputs)), make([][]float32, len(n.outputs))
	t.forwardPart, t.backwardPart, t.sumPart, t.updatePart = t.forwardShard, t.backwardShard, t.sumBlock, t.update
	return t
}

// forward computes the outputs of a batch with dropout and clears doutput.
func (t *training) forward(g *schemas.Graphs, rows []int) {
	t.graphs, t.rows = g, rows
	t.tableMemory = t.table(t.tableMemory, t.weights)
	t.active = max(1, min(maxShards, len(rows)/shardGraphs))
	end := 0
	for i := range t.active {
		if i == len(t.shards) {
			t.shards = append(t.shards, &shard{hidden: make([][]float32, len(t.outputs))})
		}
		s := t.shards[i]
		s.from, s.to = i*len(rows)/t.active, (i+1)*len(rows)/t.active
		s.random.Seed(t.random.Uint64(), t.random.Uint64())
		s.at, s.end = s.from, s.to
		if t.nodewise {
			s.at = end
			for _, r := range rows[s.from:s.to] {
				end += int(g.NodeStart[r+1] - g.NodeStart[r])
			}
			s.end = end
		}
	}
	for i := range t.outputs {
		n := t.shards[t.active-1].end * t.outputs[i].out
		t.output[i], t.doutput[i] = resized(t.output[i], n), resized(t.doutput[i], n)
		clear(t.doutput[i])
	}
	t.pool.run(t.active, t.forwardPart)
}

// rest drops the state between forward and backward.
func (t *training) rest() {
	t.shards, t.gradient, t.graphs, t.rows = nil, nil, nil, nil
	clear(t.output)
	clear(t.doutput)
}

// readouts returns the weights of the readout, bias last, and its cleared
// gradient; both are empty without one.
func (t *training) readouts() (w, dw []float32) {
	if t.readout == nil {
		return nil, nil
	}
	w = t.weights[t.readout.off : t.readoutBias.off+t.readoutBias.cols]
	t.dreadout = resized(t.dreadout, len(w))
	clear(t.dreadout)
	return w, t.dreadout
}

func (t *training) forwardShard(i, _ int) {
	s := t.shards[i]
	t.encoder.arrange(&s.batch, t.vocabulary, t.graphs, t.rows[s.from:s.to], sharing)
	if t.nodewise {
		s.batch.scatter()
	}
	s.z = t.encoder.forward(&s.tape, t.weights, t.tableMemory, t.operations, &s.batch, &s.random)
	s.memory.reset()
	for o := range t.outputs {
		p := &t.outputs[o]
		s.hidden[o] = s.memory.take((s.end - s.at) * p.hidden)
		p.forward(t.output[o][s.at*p.out:s.end*p.out], s.hidden[o], s.z, t.weights)
	}
}

// backward takes doutput back to the weights and updates them. It changes
// nothing and returns false when the gradient is not finite.
func (t *training) backward() bool {
	t.pool.run(t.active, t.backwardPart)
	t.gradient = t.shards[0].gradient
	if t.readout != nil {
		kernels.Add(t.gradient[t.readout.off:][:len(t.dreadout)], t.dreadout)
	}
	blocks := (len(t.weights) + updateBlock - 1) / updateBlock
	t.norms = resized(t.norms, blocks)
	t.pool.run(blocks, t.sumPart)
	norm := 0.
	for _, n := range t.norms {
		norm += n
	}
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return false
	}
	t.shorten()
	t.steps++
	t.adam.rate, t.adam.decay, t.adam.correction = adamFactors(t.steps, t.rate, t.decay)
	t.pool.run(blocks, t.updatePart)
	return true
}

// shorten scales the gradient to the length clip if it is longer. Running statistics are
// no gradient.
func (t *training) shorten() {
	if t.clip == 0 {
		return
	}
	own := t.gradient[t.layout.observed:]
	square := 0.
	for _, g := range own {
		square += float64(g) * float64(g)
	}
	if length := math.Sqrt(square); length > t.clip {
		scale := float32(t.clip / length)
		for i := range own {
			own[i] *= scale
		}
	}
}

func (t *training) backwardShard(i, _ int) {
	s := t.shards[i]
	s.gradient = resized(s.gradient, len(t.weights))
	s.dtable = resized(s.dtable, len(t.tableMemory))
	clear(s.gradient)
	clear(s.dtable)
	dz, part := s.memory.zeros(len(s.z)), s.memory.take(len(s.z))
	for o := range t.outputs {
		p := &t.outputs[o]
		p.backward(part, s.memory.take(len(s.hidden[o])), s.gradient, t.doutput[o][s.at*p.out:s.end*p.out], s.hidden[o], s.z, t.weights)
		kernels.Add(dz, part)
	}
	t.encoder.backward(&s.tape, s.gradient, s.dtable, dz, t.weights, t.operations, &s.batch)
	t.encoder.tablesBack(s.gradient, s.dtable, t.weights, t.operations)
}

// sumBlock adds the shards' gradients to that of the first, in their order.
func (t *training) sumBlock(i, _ int) {
	from, to := i*updateBlock, min((i+1)*updateBlock, len(t.weights))
	sum := t.gradient[from:to]
	for _, s := range t.shards[1:t.active] {
		kernels.Add(sum, s.gradient[from:to])
	}
	t.norms[i] = float64(kernels.Dot(sum, sum))
}

func (t *training) update(i, _ int) {
	from, to := i*updateBlock, min((i+1)*updateBlock, len(t.weights))
	for ; from < min(to, t.layout.observed); from++ {
		t.weights[from] += observedShare * (t.gradient[from]/float32(t.active) - t.weights[from])
	}
	kernels.AdamW(t.weights[from:to], t.gradient[from:to], t.m[from:to], t.v[from:to], t.adam.rate, t.adam.decay, t.adam.correction)
}

// learn gives every new operation and attribute of these graphs a code and a
// random row. A new number is scaled by its values in all of g.
func (t *training) learn(g *schemas.Graphs, rows []int) {
	for _, i := range rows {
		ops, _ := g.Graph(i)
		for _, op := range ops {
			if t.vocabulary.add(op) {
				t.addRow()
			}
		}
	}
	if keys := t.vocabulary.newAttributes(g, rows); len(keys) > 0 {
		all := describeAttributes(g)
		for _, k := range keys {
			if t.vocabulary.addAttribute(k, *all[k]) {
				t.addRow()
			}
		}
	}
}

// addRow appends a random row to the operation embedding.
func (t *training) addRow() {
	row := make([]float32, t.operations.cols)
	fillUniform(row, operationLimit, rand.New(t.random))
	t.weights = append(t.weights, row...)
	clear(row)
	t.m, t.v = append(t.m, row...), append(t.v, row...)
	t.operations.rows++
	t.layout.size = len(t.weights)
}
