package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/internal/finite"
	"archflow/ops"
	"archflow/schemas"
	"archflow/stages"
)

// Bounds on the dashboard's lists.
const (
	shownDeadLetters = 20
	shownPoints      = 300
	projectionSample = 1500
	shownModels      = 6
	shownTasks       = 4 // of a space whose best are shown
)

// dashboard collects the statistics of this process for the live page and for the
// summary at the end. It is safe for concurrent use.
type dashboard struct {
	mu          sync.Mutex
	version     string
	role        string
	traces      string // where a trace is looked at
	began       time.Time
	totals      ops.Totals
	spaces      map[string]*spaceStats
	deadLetters []ops.DeadLetterState // latest first
	classes     map[string]int64
	sent        int64 // predictions that the topic has
	before      int64 // the same at the last state
	at          time.Time
}

// spaceStats are the statistics of one space.
type spaceStats struct {
	candidates, answered int64
	model                ops.ModelState
	projection           *ops.Projection
	coordinates          coordinates
	best                 bests // by task
	losses               map[string][][2]float64
	pairs                map[string][][4]float64
	scores               map[string]*ops.ScoreState
	fit                  *fitState // under way
}

func newDashboard(c *Config, version string) *dashboard {
	now := time.Now()
	return &dashboard{
		version: version, role: c.Role, traces: c.TraceURL, began: now, at: now,
		spaces: map[string]*spaceStats{}, classes: map[string]int64{},
	}
}

func (b *dashboard) space(name string) *spaceStats {
	s := b.spaces[name]
	if s == nil {
		s = &spaceStats{
			projection: ops.NewProjection(projectionSample, 1), best: bests{}, losses: map[string][][2]float64{},
			pairs: map[string][][4]float64{}, scores: map[string]*ops.ScoreState{}, model: ops.ModelState{Space: name, Doing: "waiting for labels"},
		}
		b.spaces[name] = s
	}
	return s
}

// published notes predictions that the topic has, for the rate.
func (b *dashboard) published(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += int64(n)
}

// remembers notes the size of a learner's replay buffer.
func (b *dashboard) remembers(l *learner.Learner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.space(l.Space()).model.Networks = l.Networks()
}

// serves notes the champion of a space and the models that could be.
func (b *dashboard) serves(space string, entry *SpaceManifest, made time.Time, model *encoders.Model, stored []StoredModel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.space(space)
	m := &s.model
	m.Pinned, m.Waiting = entry.pinned(), ""
	if trained := entry.trained().Model; entry.pinned() && trained != entry.Model {
		m.Waiting = trained
	}
	m.Stored = nil
	for _, v := range stored[:min(len(stored), shownModels)] {
		m.Stored = append(m.Stored, ops.StoredModelState{Name: v.Name, Made: v.Modified.UnixMilli()})
	}
	if m.Version == model.Version {
		return
	}
	m.Version, m.Made, m.Doing = model.Version, made.UnixMilli(), "serving"
	m.Tasks, m.Labels = nil, 0
	for _, t := range model.Tasks {
		m.Tasks = append(m.Tasks, t.Name)
		m.Labels += t.Labels
	}
}

// model returns the state of a space's model for the page.
func (b *dashboard) model(space string) ops.ModelState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.space(space).model
}

// answered notes a batch that every sink has committed.
func (b *dashboard) answered(batch *schemas.Batch) {
	c, s, p := schemas.ViewCandidates(batch.Rows), schemas.ViewSurrogates(batch.Rows), schemas.ViewPredictions(batch.Rows)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.Candidates += int64(c.Len() + len(batch.Rejects))
	b.totals.Predictions += int64(c.Len())
	b.refused(batch.Rejects)
	for i := range c.Len() {
		space := b.space(c.NameOf(i, c.Space[i]))
		space.candidates++
		shade := float32(-1)
		if first := p.TaskStart[i]; first < p.TaskStart[i+1] && p.Score[first] == p.Score[first] {
			space.answered++
			shade = float32(p.Percentile[first])
			space.best.offer(&c, &p, i)
		}
		x := c.Graphs.At(i)
		if !space.coordinates.place(space.projection, &x, shade) {
			space.projection.Add(s.Values[s.Start[i]:s.Start[i+1]], shade)
		}
	}
}

// refused counts dead letters; the caller holds the lock.
func (b *dashboard) refused(deadLetters []schemas.DeadLetter) {
	for _, d := range deadLetters {
		b.totals.DeadLetters++
		b.classes[d.Class]++
		b.deadLetters = slices.Insert(b.deadLetters, 0, ops.DeadLetterState{
			Time: d.Time, Topic: d.Topic, Partition: d.Number, Offset: d.Offset, Class: d.Class, Reason: d.Reason,
			Value: strings.ToValidUTF8(string(d.Value[:min(len(d.Value), 300)]), "�"), Trace: traceOf(d.Headers),
		})
		b.deadLetters = b.deadLetters[:min(len(b.deadLetters), shownDeadLetters)]
	}
}

// traceOf returns the id of the trace that headers name, "" without one.
func traceOf(headers []schemas.Header) string {
	for _, h := range headers {
		if h.Name == "traceparent" {
			if sc, ok := ops.ParseTraceparent(h.Value); ok {
				return sc.TraceID().String()
			}
		}
	}
	return ""
}

// labelled notes labels beside the predictions made before them.
func (b *dashboard) labelled(rows []stages.LabelRow, deadLetters []schemas.DeadLetter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.Labels += int64(len(rows))
	b.refused(deadLetters)
	for i := range rows {
		r := &rows[i]
		if r.Suspect != "" {
			b.space(r.Label.Space).suspect(r.Label.Task, string(r.Label.ID), r.Architecture.String(), r.Suspect)
		}
		space := b.space(r.Label.Space)
		if r.Known && r.Label.Valued() && !r.Label.HasFidelity {
			space.best.mark(r.Label.Task, r.Network.String(), r.Label.Value)
		}
		if !r.Answered || !r.Label.Valued() {
			continue
		}
		points := append(space.pairs[r.Label.Task], [4]float64{r.Value, r.Label.Value, r.Low, r.High})
		space.pairs[r.Label.Task] = points[max(len(points)-shownPoints, 0):]
	}
}

// scored notes the running score of a task.
func (b *dashboard) scored(space string, t learner.TaskState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.space(space)
	score := s.scores[t.Name]
	if score == nil {
		score = &ops.ScoreState{Task: space + "/" + t.Name}
		s.scores[t.Name] = score
	}
	if score.Pairs = t.Score.Pairs; score.Pairs < 2 {
		return
	}
	score.Tau, score.P1, score.P5, score.Coverage = defined(t.Score.Tau), defined(t.Score.P1), defined(t.Score.P5), defined(t.Score.Coverage)
	score.TauRandom, score.TauError = defined(t.Score.Random), defined(t.Score.RandomError)
	if score.TauRandom != nil {
		score.History = thin(append(score.History, [2]float64{float64(t.Labels), *score.TauRandom}))
	}
}

// defined returns nil for a figure that is undefined, as the precision at 1 % of
// fewer than 100 pairs is.
func defined(x float64) *float64 {
	if !finite.Is(x) {
		return nil
	}
	return &x
}

// step notes a step of pre-training.
func (b *dashboard) step(l *learner.Learner, losses encoders.Losses) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.space(l.Space())
	s.model.Steps, s.model.Networks, s.model.Doing = l.Steps(), l.Networks(), "pre-training"
	s.losses["flow"] = thin(append(s.losses["flow"], [2]float64{float64(l.Steps()), losses.Flow}))
	s.losses["proxies"] = thin(append(s.losses["proxies"], [2]float64{float64(l.Steps()), losses.Proxy}))
}

// thin halves a curve that has grown too long for the page.
func thin(points [][2]float64) [][2]float64 {
	if len(points) <= 2*shownPoints {
		return points
	}
	for i := range len(points) / 2 {
		points[i] = points[2*i+1]
	}
	return points[:len(points)/2]
}

// fitting notes how far a fit is, or that none is under way.
func (b *dashboard) fitting(space string, f learner.Fitting, under bool, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.space(space)
	if s.fit = nil; under {
		s.fit = &fitState{f, since}
	}
}

// fits says which fits are under way, "" for none.
func (b *dashboard) fits() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b.spaces)) {
		if f := b.spaces[name].fit; f != nil {
			all = append(all, name+": "+f.String())
		}
	}
	return strings.Join(all, "; ")
}

// fitState is a fit under way.
type fitState struct {
	learner.Fitting
	since time.Time
}

// String is such as "fitting 3 of 12, since 40 s".
func (f *fitState) String() string {
	return fmt.Sprintf("fitting %d of %d, since %.0f s", min(f.Done+1, f.Tasks), f.Tasks, time.Since(f.since).Seconds())
}

// fitted notes that a fit has ended; serves notes a model that came of it.
func (b *dashboard) fitted(l *learner.Learner, c *learner.Challenger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.space(l.Space())
	s.model.Networks, s.model.Doing = l.Networks(), "serving"
	if c == nil || c.Taught {
		return
	}
	s.model.Suspects = nil // those of the newest fit; labels that come later join them
	for _, t := range c.Trials {
		for _, x := range t.Suspects {
			s.suspect(t.Task, x.Candidate, x.Architecture.String(), x.Why)
		}
	}
}

// shownSuspects is how many labels that look like mistakes the page shows of a
// space.
const shownSuspects = 6

// suspect notes a label that looks like a mistake.
func (s *spaceStats) suspect(task, candidate, architecture, why string) {
	if candidate == "" {
		candidate = architecture
	}
	all := append([]string{fmt.Sprintf("%s of %s: %s", task, candidate, why)}, s.model.Suspects...)
	s.model.Suspects = all[:min(len(all), shownSuspects)]
}

// state returns the page's state, without the parts that telemetry and health add.
func (b *dashboard) state() ops.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	totals := b.totals
	totals.Rate = float64(b.sent-b.before) / max(now.Sub(b.at).Seconds(), 1e-3)
	b.before, b.at = b.sent, now
	s := ops.State{
		Time: now.UnixMilli(), Version: b.version, Role: b.role, Uptime: now.Sub(b.began).Seconds(),
		TraceURL: b.traces, Totals: totals, DeadLetters: slices.Clone(b.deadLetters),
	}
	for _, name := range slices.Sorted(maps.Keys(b.spaces)) {
		b.spaces[name].show(name, &s)
	}
	return s
}

func (s *spaceStats) show(name string, state *ops.State) {
	model := s.model
	if s.fit != nil {
		model.Doing = s.fit.String()
	}
	state.Models = append(state.Models, model)
	for _, part := range slices.Sorted(maps.Keys(s.losses)) {
		state.Losses = append(state.Losses, ops.LossState{Space: name, Part: part, Points: slices.Clone(s.losses[part])})
	}
	for _, task := range slices.Sorted(maps.Keys(s.scores)) {
		score := *s.scores[task]
		score.History = slices.Clone(score.History)
		state.Scores = append(state.Scores, score)
	}
	for _, task := range slices.Sorted(maps.Keys(s.pairs)) {
		state.Pairs = append(state.Pairs, ops.PairsState{Task: name + "/" + task, Points: slices.Clone(s.pairs[task])})
	}
	for _, task := range slices.Sorted(maps.Keys(s.best))[:min(len(s.best), shownTasks)] {
		state.Best = append(state.Best, s.best[task].list...)
	}
	points, seen := s.projection.Points()
	state.Maps = append(state.Maps, ops.MapState{Space: name, Of: s.coordinates.of(), Seen: seen, Points: points})
}

// Summary is a run's totals, for its last lines.
type Summary struct {
	Seconds     float64          `json:"seconds"`
	Candidates  int64            `json:"candidates"`
	Predictions int64            `json:"predictions"`
	DeadLetters map[string]int64 `json:"dead_letters"`
	Labels      int64            `json:"labels"`
	Spaces      []SpaceSummary   `json:"spaces"`
}

// SpaceSummary is the part of one space.
type SpaceSummary struct {
	Space       string `json:"space"`
	Predictions int64  `json:"predictions"`
	Answered    int64  `json:"answered"` // with a score
	Networks    int    `json:"networks"`
	Model       string `json:"model,omitempty"`
}
