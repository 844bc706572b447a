package api

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"archflow/ops"
	"archflow/schemas"
)

// Topics are the sources of a catalogue.
type Topics interface {
	// Read calls f with the messages of a topic's partitions from the positions to the
	// present ends, and advances the positions. Of a partition without a position, or
	// more than tail messages behind, it reads the last tail messages; 0 means all of
	// them.
	Read(ctx context.Context, topic Topic, positions map[int32]int64, tail int64, f func(*schemas.Messages)) error
}

// Topic is one of those that clients write.
type Topic string

// The topics of clients.
const (
	Candidates Topic = "candidates"
	Labels     Topic = "labels"
	Trials     Topic = "trials"
)

// catalogue knows the distinct networks of every space that were published, as
// far as limit of a space go back, and their labels. It reads the topics when it
// is asked, to their ends, so that whoever has published something is answered
// with it, and a process that nobody asks does nothing.
type catalogue struct {
	topics  Topics
	limit   int // networks of a space
	limits  schemas.Limits
	decoder *schemas.Decoder

	published published // by this process

	mu        sync.Mutex
	positions map[Topic]map[int32]int64
	spaces    map[string]*known
}

// known holds the candidates and labels of one space.
type known struct {
	entries        []*entry // in the order of their first candidates
	byNetwork      map[schemas.ID]*entry
	byArchitecture map[schemas.ID]*entry
	byID           map[string]named
	waiting        map[string][]trained // by waitingID or waitingArchitecture of a candidate that has not come
	order          []string             // of the keys in waiting
	tasks          map[string]bool      // with a label -> less is better
	scored         string               // model of the entries' scores
	labelCount     int64                // labels so far
}

// entry is one network.
type entry struct {
	space        string
	message      []byte // the first candidate of it, as published
	network      schemas.ID
	ids          []string
	architecture []schemas.ID // the first is that of the message
	labels       map[string]results
	asked        time.Time          // when it was given out to be trained, zero before
	scores       []score            // by the place of a task in the model; nil before
	carried      map[string]float64 // its proxies, once somebody has asked for them
	trace        string             // of its first candidate, hexadecimal; "" without one
	first        map[string]int64   // task -> number of its first label among those of the space
}

// named is what an id names.
type named struct {
	*entry
	architecture schemas.ID
}

// results are the labels of one task of a network.
type results struct {
	trainings map[training]result
	mean      float64 // over the architectures, each the mean of its seeds; NaN if all failed
}

type training struct {
	architecture schemas.ID
	seed         string
}

type result struct {
	value  float64
	failed bool
}

// trained is a label whose candidate may not have come yet.
type trained struct {
	task, seed string
	number     int64 // among the labels of the space
	withdrawn  bool
	result
}

const (
	// aliases bounds the ids and the architectures of one network.
	aliases = 16
	// waitingFor bounds the candidates of a space that labels wait for.
	waitingFor = 100_000
)

func newCatalogue(topics Topics, limit int, limits schemas.Limits) *catalogue {
	c := &catalogue{topics: topics, limit: limit, limits: limits, decoder: schemas.NewDecoder(limits), positions: map[Topic]map[int32]int64{}, spaces: map[string]*known{}}
	for _, t := range []Topic{Candidates, Labels, Trials} {
		c.positions[t] = map[int32]int64{}
	}
	return c
}

// refresh reads the messages published since the last call. The caller holds mu.
func (c *catalogue) refresh(ctx context.Context) error {
	tail := 4 * int64(c.limit)
	// Labels come first and wait for their candidates, so that none of these is
	// forgotten before its label is known.
	if err := c.read(ctx, Labels, 0, c.labels); err != nil {
		return err
	}
	if err := c.read(ctx, Candidates, tail, c.candidates); err != nil {
		return err
	}
	return c.topics.Read(ctx, Trials, c.positions[Trials], tail, c.trials)
}

// read reads a topic to its end, and at least through the messages that this process has
// published: a transaction of Kafka is committed some moments before its messages can be
// read.
func (c *catalogue) read(ctx context.Context, topic Topic, tail int64, f func(*schemas.Messages)) error {
	for deadline := time.Now().Add(visibleWithin); ; {
		if err := c.topics.Read(ctx, topic, c.positions[topic], tail, f); err != nil {
			return err
		}
		if c.published.reached(topic, c.positions[topic]) || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *catalogue) space(name string) *known {
	k := c.spaces[name]
	if k == nil {
		k = &known{
			byNetwork: map[schemas.ID]*entry{}, byArchitecture: map[schemas.ID]*entry{}, byID: map[string]named{},
			waiting: map[string][]trained{}, tasks: map[string]bool{},
		}
		c.spaces[name] = k
	}
	return k
}

// each calls f with the number of every message. One at which f panics is left out, as
// unreadable ones are: the stream makes a dead letter of it, and it must not keep every
// later request from being answered.
func (c *catalogue) each(m *schemas.Messages, f func(i int)) {
	for i := range m.Len() {
		func() {
			defer func() {
				if recover() != nil {
					c.decoder = schemas.NewDecoder(c.limits)
				}
			}()
			f(i)
		}()
	}
}

// candidates adds messages of candidates.
func (c *catalogue) candidates(m *schemas.Messages) {
	c.each(m, func(i int) {
		if e := c.candidate(m.Value.At(i)); e != nil && e.trace == "" {
			if sc, ok := ops.ParseTraceparent(m.Header(i, "traceparent")); ok {
				e.trace = sc.TraceID().String()
			}
		}
	})
}

func (c *catalogue) candidate(value []byte) *entry {
	var rows schemas.Candidates
	if c.decoder.Candidate(&rows, value) != nil {
		return nil
	}
	name := rows.NameOf(0, rows.Space[0])
	k := c.space(name)
	e := k.byNetwork[rows.Network[0]]
	if e == nil {
		e = &entry{space: name, message: slices.Clone(value), network: rows.Network[0], labels: map[string]results{}}
		k.byNetwork[e.network] = e
		k.entries = append(k.entries, e)
		if len(k.entries) > c.limit+c.limit/8 {
			k.evict(c.limit)
		}
	}
	a := rows.Architecture[0]
	if len(e.architecture) == 0 || k.byArchitecture[a] == nil && len(e.architecture) < aliases {
		e.architecture = append(e.architecture, a)
		k.byArchitecture[a] = e
	}
	k.settle(waitingArchitecture(a), e, a)
	if id := schemas.IDText(rows.ID.At(0)); id != "" {
		k.name(id, e, a)
		k.settle(waitingID(id), e, a)
	}
	return e
}

// name makes an id name an architecture of an entry, which forgets the oldest of too
// many ids.
func (k *known) name(id string, e *entry, architecture schemas.ID) {
	before := k.byID[id]
	k.byID[id] = named{e, architecture}
	if before.entry == e {
		return
	}
	e.ids = append(e.ids, id)
	if len(e.ids) > aliases {
		if old := e.ids[0]; k.byID[old].entry == e {
			delete(k.byID, old)
		}
		e.ids = e.ids[1:]
	}
}

// settle gives an entry the labels that waited under a key.
func (k *known) settle(key string, e *entry, architecture schemas.ID) {
	for _, t := range k.waiting[key] {
		e.learn(architecture, t)
	}
	delete(k.waiting, key)
}

// wait keeps a label until its candidate comes, and forgets those of the candidate that
// was waited for first when these are too many.
func (k *known) wait(key string, t trained) {
	if k.waiting[key] == nil {
		k.order = append(k.order, key)
		if len(k.order) > waitingFor {
			delete(k.waiting, k.order[0])
			k.order = k.order[1:]
		}
	}
	k.waiting[key] = append(k.waiting[key], t)
}

func waitingID(text string) string { return "id " + text }

func waitingArchitecture(id schemas.ID) string { return "architecture " + id.String() }

// evict forgets the networks that came first, those without labels before all
// others, until n are left.
func (k *known) evict(n int) {
	excess := len(k.entries) - n
	for _, labelled := range []bool{false, true} {
		k.entries = slices.DeleteFunc(k.entries, func(e *entry) bool {
			if excess <= 0 || len(e.labels) > 0 != labelled {
				return false
			}
			excess--
			delete(k.byNetwork, e.network)
			for _, a := range e.architecture {
				delete(k.byArchitecture, a)
			}
			for _, id := range e.ids {
				if k.byID[id].entry == e {
					delete(k.byID, id)
				}
			}
			return true
		})
	}
}

// labels takes in messages of labels.
func (c *catalogue) labels(m *schemas.Messages) {
	c.each(m, func(i int) {
		if l, refused := c.decoder.Label(m.Value.At(i)); refused == nil {
			c.label(&l, m.Value.At(i))
		}
	})
}

func (c *catalogue) label(l *schemas.Label, value []byte) {
	k := c.space(l.Space)
	if l.GoalGiven {
		k.tasks[l.Task] = l.Minimise
	} else if _, ok := k.tasks[l.Task]; !ok {
		k.tasks[l.Task] = false
	}
	if l.HasFidelity || l.Missing {
		return // not of the full training, to which predictions refer; or without a result
	}
	k.labelCount++
	t := trained{task: l.Task, number: k.labelCount, seed: l.Seed, withdrawn: l.Withdrawn, result: result{l.Value, l.Failed}}
	switch {
	case l.HasGraph:
		e := k.byNetwork[l.Network]
		if e == nil {
			e = c.candidate(withoutResult(value))
		}
		if e != nil {
			e.learn(l.Architecture, t)
		}
	case l.HasArchitecture:
		if e := k.byArchitecture[l.Architecture]; e != nil {
			e.learn(l.Architecture, t)
		} else {
			k.wait(waitingArchitecture(l.Architecture), t)
		}
	case len(l.ID) > 0:
		id := schemas.IDText(l.ID)
		if of := k.byID[id]; of.entry != nil {
			of.learn(of.architecture, t)
		} else {
			k.wait(waitingID(id), t)
		}
	}
}

// learn takes in a label of one of the architectures: the same seed replaces, null
// withdraws, without a seed those of all seeds.
func (e *entry) learn(architecture schemas.ID, t trained) {
	r := e.labels[t.task]
	if t.withdrawn {
		maps.DeleteFunc(r.trainings, func(of training, _ result) bool {
			return of.architecture == architecture && (t.seed == "" || of.seed == t.seed)
		})
		if len(r.trainings) == 0 {
			delete(e.labels, t.task)
			delete(e.first, t.task)
			return
		}
	} else {
		if r.trainings == nil {
			r.trainings = map[training]result{}
		}
		r.trainings[training{architecture, t.seed}] = t.result
		if e.first == nil {
			e.first = map[string]int64{}
		}
		if _, again := e.first[t.task]; !again {
			e.first[t.task] = t.number
		}
		e.asked = time.Time{}
	}
	r.mean = meanOf(r.trainings)
	e.labels[t.task] = r
}

// meanOf is the mean over architectures, each the mean of its trainings that have not
// failed, as the trainer has it; NaN if all failed.
func meanOf(trainings map[training]result) float64 {
	order := slices.SortedFunc(maps.Keys(trainings), func(a, b training) int {
		return cmp.Or(slices.Compare(a.architecture[:], b.architecture[:]), cmp.Compare(a.seed, b.seed))
	})
	var means, values []float64
	for i, of := range order {
		if one := trainings[of]; !one.failed {
			values = append(values, one.value)
		}
		if last := i+1 == len(order) || order[i+1].architecture != of.architecture; last && len(values) > 0 {
			means, values = append(means, mean(values)), values[:0]
		}
	}
	return mean(means)
}

// mean returns NaN of nothing.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	mean := 0.
	for i, v := range values {
		mean += (v - mean) / float64(i+1)
	}
	return mean
}

// trials takes in messages of trials: a network that somebody is to train is not
// asked for again.
func (c *catalogue) trials(m *schemas.Messages) {
	c.each(m, func(i int) {
		if e := c.candidate(m.Value.At(i)); e != nil {
			e.asked = time.UnixMilli(m.Time[i])
		}
	})
}

// value is the mean of the results; false without a training that gave one.
func (r results) value() (mean float64, ok bool) {
	return r.mean, len(r.trainings) > 0 && !math.IsNaN(r.mean)
}

// failed says that the network was trained and no training gave a value.
func (r results) failed() bool { return len(r.trainings) > 0 && math.IsNaN(r.mean) }

// withoutResult makes a candidate of a label that carries its graph.
func withoutResult(label []byte) []byte {
	return rewrite(label, func(name string) bool {
		switch name {
		case "task", "value", "goal", "failed", "seed", "fidelity", "of", "architecture":
			return false
		}
		return true
	}, nil)
}

// rewrite returns the members of an object that keep wants, as they are, and
// more behind them. Members that are no JSON, such as NaN, are left out.
func rewrite(object []byte, keep func(name string) bool, more []byte) []byte {
	out := append(make([]byte, 0, len(object)+len(more)), '{')
	for name, value := range members(object) {
		if !keep(name) || !json.Valid(value) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			continue // it came out of JSON
		}
		out = append(append(append(out, quoted...), ':'), value...)
	}
	if len(more) > 0 && len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(out, more...), '}')
}

// members ranges over the members of a JSON object that a decoder has accepted.
func members(object []byte) func(yield func(name string, value []byte) bool) {
	return func(yield func(string, []byte) bool) {
		at := skipSpace(object, 0) + 1 // the brace
		for at < len(object) {
			at = skipSpace(object, at)
			end, err := stringEnd(object, at)
			if err != nil {
				return
			}
			var name string
			if json.Unmarshal(object[at:end], &name) != nil {
				return
			}
			colon := skipSpace(object, end)
			begin := skipSpace(object, colon+1)
			stop := valueEnd(object, begin)
			if stop < 0 || !yield(name, []byte(strings.TrimSpace(string(object[begin:stop])))) {
				return
			}
			at = stop + 1
		}
	}
}
