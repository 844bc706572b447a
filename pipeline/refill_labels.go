package pipeline

import (
	"context"
	"slices"

	"archflow/encoders/learner"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// refillLabels adds the missing rows of the labels table, without the predictions made
// before the labels, which are no longer known.
func (r *refill) refillLabels(ctx context.Context, table *sinks.LabelsTable, done *Refilled) error {
	decoder, goals := schemas.NewDecoder(r.config.Limits()), map[string]bool{}
	pending := chunk[stages.LabelRow]{flush: func(ctx context.Context, p schemas.TopicPartition, labels map[int64]stages.LabelRow) error {
		rows := make([]stages.LabelRow, 0, len(labels))
		for _, offset := range offsetsOf(labels) {
			rows = append(rows, labels[offset])
		}
		list := labelRows(rows)
		for i := range list {
			if rows[i].Label.HasArchitecture {
				list[i].Architecture = rows[i].Label.Architecture.String()
			}
		}
		if err := r.resolve(ctx, list); err != nil {
			return err
		}
		n, err := table.Insert(ctx, p, list)
		done.Refilled += n
		return err
	}}
	err := r.Follow(ctx, r.Topics.Labels, From{Start: true}, true, func(p schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			label, refused := decoder.Label(m.Value.At(i))
			if refused != nil {
				continue
			}
			task := taskKey(label.Space, label.Task)
			if label.GoalGiven {
				goals[task] = label.Minimise
			}
			if !table.Lacks(p, m.Offset[i]) || r.deadLetters != nil && r.deadLetters.Holds(p, m.Offset[i]) {
				continue
			}
			row := stages.LabelRow{
				Outcome: learner.Outcome{Label: label, Known: label.HasGraph, Architecture: label.Architecture, Network: label.Network, Minimise: goals[task]},
				Offset:  m.Offset[i], Time: m.Time[i], Trace: slices.Clone(m.Header(i, "traceparent")),
			}
			if err := pending.put(ctx, p, m.Offset[i], row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pending.end(ctx)
}

// resolve finds the architectures of labels that name their candidate, in the
// predictions table.
func (r *refill) resolve(ctx context.Context, labels []sinks.LabelRow) error {
	type candidate struct {
		CandidateID  string `parquet:"candidate_id,optional"`
		Architecture string `parquet:"architecture,optional"`
		Network      string `parquet:"network,optional"`
		Time         int64  `parquet:"candidate_time,optional,timestamp(microsecond)"`
	}
	wanted := map[string]map[string]*candidate{} // by space and id, or hash
	for i := range labels {
		l := &labels[i]
		if l.Network != "" {
			continue
		}
		if wanted[l.Space] == nil {
			wanted[l.Space] = map[string]*candidate{}
		}
		wanted[l.Space][l.CandidateID+" "+l.Architecture] = &candidate{Time: -1}
	}
	for _, space := range sortedKeys(wanted) {
		of := wanted[space]
		note := func(key string, c *candidate) {
			if have := of[key]; have != nil && c.Time > have.Time {
				copied := *c
				of[key] = &copied
			}
		}
		err := sinks.EachRow(ctx, r.tables, "predictions", sinks.Folder("space", space)+"/", func(c *candidate) {
			note(c.CandidateID+" ", c)
			note(" "+c.Architecture, c)
			note(c.CandidateID+" "+c.Architecture, c)
		})
		if err != nil {
			return err
		}
	}
	for i := range labels {
		l := &labels[i]
		if l.Network == "" {
			c := wanted[l.Space][l.CandidateID+" "+l.Architecture]
			l.Architecture, l.Network = c.Architecture, c.Network
		}
	}
	return nil
}
