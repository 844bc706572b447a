package learner

import (
	"bytes"
	"fmt"
	"slices"

	"archflow/encoders"
	"archflow/encoders/safetensors"
	"archflow/schemas"
)

// State is everything a learner knows, as a checkpoint holds it. Checkpoints hold its
// fields, and those of the types below, by name. Symbols are numbers of Names.
type State struct {
	Space    string
	Random   []byte // of the PCG
	Names    []string
	Taught   []string       // the names that the space has taught, in order
	Networks []NetworkState // the buffer in its order, then others that labels may name
	Buffered int            // of Networks
	Seen     int64
	Memory   []MemoryState // oldest first
	Tasks    []TaskRecord
	Waiting  []schemas.Label // oldest first
	Debt     float64
	Early    bool
	Ripe     bool
	Untaught bool
	GrownUp  bool
	Number   int64
	Trunk    []byte // safetensors, empty before the first step
	Epoch    EpochState
	Champion []byte // a model's file, empty before the first
	Pupil    []byte // the last student as a model's file; empty in states from before it was kept
	Given    *State // of the tasks of architectures as given; nil without
}

// EpochState is the epoch of pre-training that is under way, on a copy of the
// buffer that may be behind it.
type EpochState struct {
	Stale    bool
	Networks []int32 // of State.Networks, in the order of the copy
	Proxies  []string
	Values   [][]float32 // [proxies][networks]
	Order    []int32     // of the networks
	At       int         // in Order
}

// MemoryState is a candidate that a label may name.
type MemoryState struct {
	ID           string
	Architecture schemas.ID
	Network      int
	Given        *NetworkState // its graph as given, nil where that is the network
}

// TaskRecord is a task with its labels.
type TaskRecord struct {
	Name     string
	Minimise bool
	Labels   []LabelState
	Fitted   int
	Changed  int
	Refused  string
	Trained  []schemas.ID
	HeldOut  []float64 // of Trained; none in states from before they were kept
	Unsure   []float64 // spread of HeldOut; none in states from before they were kept
	Honest   prequential
}

// LabelState is one label.
type LabelState struct {
	Architecture schemas.ID
	Network      int
	Value        float64
	ID           string        // of the candidate, "" where no label named it
	Repeats      []RepeatState // none for the one value
}

// RepeatState is the result of one training of a label.
type RepeatState struct {
	Seed     string
	Lower    bool
	Fidelity float64
	Failed   bool
	Value    float64
}

// State returns a copy of the learner's state. It fails unless the learner is Quiet.
func (l *Learner) State() (*State, error) {
	if !l.Quiet() {
		return nil, fmt.Errorf("space %s: a fit is under way", l.cfg.Space)
	}
	random, err := l.source.MarshalBinary()
	if err != nil {
		return nil, err
	}
	w := stateWriter{state: &State{
		Space: l.cfg.Space, Taught: l.names.order, Random: random, Seen: l.buffer.offered, Buffered: len(l.buffer.networks),
		Debt: l.pretrain.debt, Early: l.early, Ripe: l.ripe, Untaught: l.untaught, GrownUp: l.grownUp, Number: l.number,
	}, names: map[string]int32{}, networks: map[*network]int{}}
	s := w.state
	if l.cfg.given {
		s.Taught = nil // they are in the state around this one
	}
	for _, n := range l.buffer.networks {
		w.network(n)
	}
	m := l.memory
	for _, entry := range m.order {
		k := m.architecture[entry.architecture]
		record := MemoryState{ID: entry.id, Architecture: entry.architecture, Network: w.network(k.network)}
		if k.given != nil {
			graph := w.graph(k.given)
			record.Given = &graph
		}
		s.Memory = append(s.Memory, record)
	}
	p := &l.pretrain
	s.Epoch = EpochState{Stale: p.stale, Proxies: p.proxies, Values: p.values, Order: p.order, At: p.at}
	for _, n := range p.networks {
		s.Epoch.Networks = append(s.Epoch.Networks, int32(w.network(n)))
	}
	for _, t := range l.tasks {
		record := TaskRecord{Name: t.name, Minimise: t.minimise, Fitted: t.fitted, Changed: t.changed, Refused: t.refused, Trained: sortedIDs(t.trained), Honest: t.prequential.clone()}
		for _, id := range record.Trained {
			record.HeldOut, record.Unsure = append(record.HeldOut, t.trained[id].score), append(record.Unsure, t.trained[id].spread)
		}
		for _, id := range sortedIDs(t.results) {
			record.Labels = append(record.Labels, w.label(id, t.results[id]))
		}
		s.Tasks = append(s.Tasks, record)
	}
	s.Waiting = l.waiting.all()
	if l.given != nil {
		if s.Given, err = l.given.State(); err != nil {
			return nil, err
		}
	}
	if l.pretrain.trunk != nil {
		metadata, tensors, err := l.pretrain.trunk.State()
		if err != nil {
			return nil, err
		}
		var file bytes.Buffer
		if err := safetensors.Write(&file, metadata, tensors); err != nil {
			return nil, err
		}
		s.Trunk = file.Bytes()
	}
	if l.champion != nil {
		var file bytes.Buffer
		if err := l.champion.Write(&file); err != nil {
			return nil, err
		}
		s.Champion = file.Bytes()
	}
	if l.pupil != nil {
		model, err := encoders.NewModel(l.cfg.Space, 0, []*encoders.Member{l.pupil}, nil)
		if err != nil {
			return nil, err
		}
		var file bytes.Buffer
		if err := model.Write(&file); err != nil {
			return nil, err
		}
		s.Pupil = file.Bytes()
	}
	return s, nil
}

type stateWriter struct {
	state    *State
	names    map[string]int32
	networks map[*network]int
}

func (w *stateWriter) name(name string) int32 {
	at, ok := w.names[name]
	if !ok {
		at = int32(len(w.state.Names))
		w.names[name] = at
		w.state.Names = append(w.state.Names, name)
	}
	return at
}

// label returns the results of an architecture.
func (w *stateWriter) label(id schemas.ID, r *results) LabelState {
	out := LabelState{Architecture: id, Network: w.network(r.network), ID: r.id}
	if one := r.repeats[0]; len(r.repeats) == 1 && one == (repeat{value: one.value}) {
		out.Value = one.value
		return out
	}
	for _, one := range r.repeats {
		out.Repeats = append(out.Repeats, RepeatState{one.seed, one.lower, one.fidelity, one.failed, one.value})
	}
	return out
}

// restore reverses label.
func (t *task) restore(x *LabelState, n *network) {
	r := &results{network: n, id: x.ID}
	for _, one := range x.Repeats {
		r.repeats = append(r.repeats, repeat{one.Seed, one.Lower, one.Fidelity, one.Failed, one.Value})
	}
	if len(x.Repeats) == 0 {
		r.repeats = []repeat{{value: x.Value}}
	}
	t.results[x.Architecture] = r
	n.labels++
	t.average(x.Architecture, r)
}

// restoreAll restores a task and its labels; at returns a network by its number.
func (t *task) restoreAll(record *TaskRecord, at func(int) (*network, error)) error {
	t.minimise, t.fitted, t.refused, t.prequential = record.Minimise, record.Fitted, record.Refused, record.Honest.clone()
	t.trained = map[schemas.ID]heldOut{}
	for i, id := range record.Trained {
		own := heldOut{nan, nan}
		if len(record.HeldOut) == len(record.Trained) {
			own.score = record.HeldOut[i]
		}
		if len(record.Unsure) == len(record.Trained) {
			own.spread = record.Unsure[i]
		}
		t.trained[id] = own
	}
	for i := range record.Labels {
		x := &record.Labels[i]
		n, err := at(x.Network)
		if err != nil {
			return err
		}
		if n.slot < 0 {
			return fmt.Errorf("state of task %q: a labelled network is not in the buffer", record.Name)
		}
		t.restore(x, n)
	}
	t.changed = record.Changed
	return nil
}

// Restore returns a learner that goes on from a state.
func Restore(cfg Config, s *State) (*Learner, error) { return restore(cfg, s, newNames()) }

// restore is Restore for a learner that takes names into those given.
func restore(cfg Config, s *State, taught *names) (*Learner, error) {
	l := New(cfg)
	l.names = taught
	if s.Space != l.cfg.Space {
		return nil, fmt.Errorf("state of space %q, want %q", s.Space, l.cfg.Space)
	}
	if err := l.source.UnmarshalBinary(s.Random); err != nil {
		return nil, fmt.Errorf("state of space %q: %w", s.Space, err)
	}
	for _, name := range s.Taught {
		l.names.take(name)
	}
	networks, err := s.networks(l.names)
	if err != nil {
		return nil, err
	}
	if s.Buffered < 0 || s.Buffered > len(networks) {
		return nil, fmt.Errorf("state of space %q: %d of %d networks are in the buffer", s.Space, s.Buffered, len(networks))
	}
	l.buffer.offered = s.Seen
	for i, n := range networks[:s.Buffered] {
		l.buffer.put(i, n)
		l.networks[n.id] = n
	}
	at := func(i int) (*network, error) {
		if i < 0 || i >= len(networks) {
			return nil, fmt.Errorf("state of space %q names network %d of %d", s.Space, i, len(networks))
		}
		return networks[i], nil
	}
	for _, m := range s.Memory {
		n, err := at(m.Network)
		if err != nil {
			return nil, err
		}
		l.memory.add([]byte(m.ID), m.Architecture, n)
		if k := l.memory.architecture[m.Architecture]; k != nil && k.given == nil && m.Given != nil {
			graph, err := m.Given.graph(s.name, l.names)
			if err != nil {
				return nil, err
			}
			l.memory.give(k, &graph)
		}
	}
	for i := range s.Tasks {
		record := &s.Tasks[i]
		if err := l.task(record.Name).restoreAll(record, at); err != nil {
			return nil, err
		}
	}
	for _, x := range s.Waiting {
		l.wait(x)
	}
	l.early, l.ripe, l.number, l.pretrain.debt = s.Early, s.Ripe, s.Number, s.Debt
	l.untaught, l.grownUp = s.Untaught, s.GrownUp
	if len(s.Trunk) > 0 {
		metadata, tensors, err := safetensors.Read(bytes.NewReader(s.Trunk))
		if err != nil {
			return nil, err
		}
		if l.pretrain.trunk, err = encoders.RestoreTrunk(metadata, tensors, 0); err != nil {
			return nil, err
		}
	}
	if len(s.Champion) > 0 {
		if l.champion, err = encoders.ReadModel(bytes.NewReader(s.Champion)); err != nil {
			return nil, fmt.Errorf("state of space %q: the champion: %w", s.Space, err)
		}
		if l.grownUp && len(l.champion.Members) > 0 { // states from before the pupil was kept
			l.pupil = l.champion.Members[0]
		}
	}
	if len(s.Pupil) > 0 {
		model, err := encoders.ReadModel(bytes.NewReader(s.Pupil))
		if err == nil && len(model.Members) != 1 {
			err = fmt.Errorf("%d members, want one", len(model.Members))
		}
		if err != nil {
			return nil, fmt.Errorf("state of space %q: the student: %w", s.Space, err)
		}
		l.pupil = model.Members[0]
	}
	if err := l.restoreEpoch(&s.Epoch, at); err != nil {
		return nil, err
	}
	if s.Given != nil {
		if err := l.restoreGiven(s.Given); err != nil {
			return nil, err
		}
	}
	return l, l.renew()
}

// renew begins pre-training anew where the state has another encoder than the settings.
// Labels and the champion stay: the champion answers until a model of the new encoder,
// which follows when pre-training has caught up, ranks no worse.
func (l *Learner) renew() error {
	if l.pretrain.trunk == nil {
		return nil
	}
	was := l.pretrain.trunk.Config()
	if was.Encoder == l.cfg.Encoder && was.Width == l.cfg.Width && was.Layers == l.cfg.Layers {
		return nil
	}
	l.replaced = fmt.Sprintf("%s of width %d with %d layers", was.Encoder, was.Width, was.Layers)
	l.early, l.ripe, l.grownUp = true, false, false
	return l.newTrunk(l.pretrain.proxies)
}

// Replaced returns the encoder that Restore has given up because the settings
// name another; "" when it has not.
func (l *Learner) Replaced() string { return l.replaced }

// restoreEpoch goes on where an epoch was left; at finds a network.
func (l *Learner) restoreEpoch(e *EpochState, at func(i int) (*network, error)) error {
	p := &l.pretrain
	p.stale, p.proxies, p.values, p.order, p.at = e.Stale, e.Proxies, e.Values, slices.Clone(e.Order), e.At
	for _, i := range e.Networks {
		n, err := at(int(i))
		if err != nil {
			return err
		}
		p.networks = append(p.networks, n)
	}
	p.copyGraphs(l.cfg.Flow)
	bad := len(p.values) != len(p.proxies) || p.at < 0 || p.at > len(p.order) || p.trunk != nil && p.trunk.Config().Proxies != len(p.proxies)
	for _, column := range p.values {
		bad = bad || len(column) != len(p.networks)
	}
	for _, i := range p.order {
		bad = bad || i < 0 || int(i) >= len(p.networks)
	}
	if bad {
		return fmt.Errorf("state of space %q: the epoch of %d networks and %d proxies does not fit together", l.cfg.Space, len(p.networks), len(p.proxies))
	}
	return nil
}

// Serve makes a model of the registry the champion.
func (l *Learner) Serve(m *encoders.Model) {
	if l.served != nil && l.served.Version == m.Version {
		return // it was taken apart already
	}
	if err := l.split(m); err != nil {
		panic(err) // m is a model, and so is each part of it
	}
	if l.given != nil {
		l.served = m
	}
	l.number = max(l.number, m.Version)
}
