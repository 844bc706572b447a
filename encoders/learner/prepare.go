package learner

import (
	"context"
	"fmt"

	"archflow/encoders/teacher"
	"archflow/schemas"
)

// prepared is the part of a fit that depends on no label. It follows from the buffer and
// the trunk, and so is no part of the state: with or without it a fit gives the same.
type prepared struct {
	graphs     schemas.Graphs    // of the buffer
	features   *teacher.Features // without an embedding; nil until wanted
	embedded   *teacher.Features // with that of the trunk after embeddedAt steps
	embeddedAt int64
}

// Unprepared says that the next fit would have to look at the networks first.
func (l *Learner) Unprepared() bool {
	p := &l.pretrain
	own := l.cfg.Predictor == PredictorBest && p.trunk != nil && len(l.buffer.networks) >= teacher.MinLabels &&
		(p.prepared.embedded == nil || p.prepared.embeddedAt != p.trunk.Steps())
	return own || l.given != nil && l.given.Unprepared()
}

// Prepare looks at the networks before there are labels to fit, or, when ctx ends
// before that is done, does nothing.
func (l *Learner) Prepare(ctx context.Context) error {
	if l.given != nil && l.given.Unprepared() {
		return l.given.Prepare(ctx)
	}
	_, err := l.features(ctx)
	return err
}

// features returns the teacher's features of the buffer: graphs, proxies and the
// embedding of the pre-trained encoder, of which only the last changes while the buffer
// stays.
func (l *Learner) features(ctx context.Context) (*teacher.Features, error) {
	p, trunk := l.pretrain.prepared, l.pretrain.trunk
	if p.features == nil {
		for _, n := range l.buffer.networks {
			p.graphs.Add(n.graph)
		}
		names, values := l.buffer.proxyColumns(0)
		data := &teacher.Data{Networks: p.graphs, Cores: l.pace(), Pace: l.pace}
		for i, name := range names {
			data.Proxies = append(data.Proxies, teacher.Proxy{Name: name, Values: values[i]})
		}
		var err error
		if p.features, err = teacher.NewFeatures(ctx, data); err != nil {
			return nil, fmt.Errorf("features: %w", err)
		}
		p.embedded = nil
	}
	if p.embedded == nil || p.embeddedAt != trunk.Steps() {
		embedding := make([]float32, len(l.buffer.networks)*trunk.Dimension())
		trunk.Embed(embedding, &p.graphs, counting(len(l.buffer.networks)))
		var err error
		if p.embedded, err = p.features.WithEmbedding(embedding, trunk.Dimension()); err != nil {
			return nil, fmt.Errorf("features: %w", err)
		}
		p.embeddedAt = trunk.Steps()
	}
	l.pretrain.prepared = p
	return p.embedded, nil
}
