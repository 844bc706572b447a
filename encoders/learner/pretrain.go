package learner

import (
	"slices"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/schemas"
)

// proxyShare is the share of the buffer that must carry a zero-cost proxy for
// the trunk to learn to rank it.
const proxyShare = 0.2

// pretraining is the trunk and the steps it still owes: every network that enters the
// buffer is trained on for a number of epochs.
type pretraining struct {
	trunk   *encoders.Trunk
	proxies []string // that the trunk ranks
	debt    float64  // steps
	stale   bool     // the copy below is behind the buffer

	networks []*network // the buffer as it was
	graphs   schemas.Graphs
	flow     []float32   // [networks, k]
	values   [][]float32 // [proxies][networks], NaN where missing
	order    []int32     // of this epoch
	at       int         // in order
	rows     []int

	prepared prepared
}

// changed notes that the buffer has changed.
func (p *pretraining) changed() {
	p.stale = true
	p.prepared = prepared{}
}

// copyGraphs derives the graphs and surrogates of the networks.
func (p *pretraining) copyGraphs(f *flow.Flow) {
	p.graphs = schemas.Graphs{}
	for _, n := range p.networks {
		p.graphs.Add(n.graph)
	}
	p.flow = make([]float32, len(p.networks)*f.K())
	f.Surrogates(p.flow, &p.graphs)
}

// owe adds the steps for one new network; the whole is never more than the
// epochs over the buffer.
func (p *pretraining) owe(epochs, batch, networks int) {
	p.changed()
	p.debt = min(p.debt+float64(epochs)/float64(batch), float64(epochs)*float64(networks)/float64(batch)+1)
}

// pretrainStep takes one mini-batch.
func (l *Learner) pretrainStep() (encoders.Losses, error) {
	p := &l.pretrain
	if p.at >= len(p.order) {
		if err := l.nextEpoch(); err != nil {
			return encoders.Losses{}, err
		}
	}
	p.rows = p.rows[:0]
	for _, row := range p.order[p.at:min(p.at+l.cfg.batch, len(p.order))] {
		p.rows = append(p.rows, int(row))
	}
	p.trunk.SetCores(l.pace())
	losses := p.trunk.Step(&p.graphs, p.rows, p.flow, p.values)
	p.at += max(losses.Rows, 1) // of very large graphs a step takes fewer
	p.debt = max(p.debt-1, 0)
	return losses, nil
}

// nextEpoch brings the copy of the buffer up to date and shuffles it. When the
// candidates carry other proxies than before, the trunk begins anew.
func (l *Learner) nextEpoch() error {
	p := &l.pretrain
	if p.stale || p.trunk == nil {
		p.stale = false
		p.networks = slices.Clone(l.buffer.networks)
		p.copyGraphs(l.cfg.Flow)
		names, columns := l.buffer.pretextColumns()
		p.values = make([][]float32, len(columns))
		for i, column := range columns {
			p.values[i] = narrow(column)
		}
		if p.trunk == nil || !slices.Equal(names, p.proxies) {
			if err := l.newTrunk(names); err != nil {
				return err
			}
		}
	}
	p.order = make([]int32, len(p.networks))
	for i := range p.order {
		p.order[i] = int32(i)
	}
	l.random.Shuffle(len(p.order), func(i, j int) { p.order[i], p.order[j] = p.order[j], p.order[i] })
	p.at = 0
	return nil
}

// newTrunk begins pre-training anew, on all of the buffer.
func (l *Learner) newTrunk(proxies []string) (err error) {
	l.pretrain.proxies, l.pretrain.prepared.embedded = proxies, nil
	l.pretrain.debt = float64(l.cfg.Epochs) * float64(len(l.buffer.networks)) / float64(l.cfg.batch)
	l.pretrain.trunk, err = encoders.NewTrunk(encoders.TrunkConfig{
		Encoder:   l.cfg.Encoder,
		Width:     l.cfg.Width,
		Layers:    l.cfg.Layers,
		K:         l.cfg.Flow.K(),
		Proxies:   len(proxies),
		ProxyLoss: "gauss",
		Seed:      l.cfg.Seed,
	})
	return err
}

func narrow(column []float64) []float32 {
	out := make([]float32, len(column))
	for i, v := range column {
		out[i] = float32(v)
	}
	return out
}

// Steps returns the number of mini-batches that the trunk was trained on.
func (l *Learner) Steps() int64 {
	if l.pretrain.trunk == nil {
		return 0
	}
	return l.pretrain.trunk.Steps()
}
