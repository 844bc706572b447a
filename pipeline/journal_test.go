package pipeline

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// opened returns the journal of a store as a trainer sees it that begins.
func opened(t *testing.T, store sinks.Bucket, output *bytes.Buffer) (*journal, *past) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if output != nil {
		log = slog.New(slog.NewTextHandler(output, nil))
	}
	j := &journal{store: store}
	p, err := j.open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.begin(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return j, p
}

// steps returns the steps that a replay of past would take.
func (p *past) steps() (all []step) {
	for _, e := range p.entries {
		all = append(all, e.Steps...)
	}
	return all
}

func keys(t *testing.T, store sinks.Bucket, prefix string) (names []string) {
	t.Helper()
	for object, err := range store.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, object.Key)
	}
	return names
}

func TestJournalKeepsTheOrder(t *testing.T) {
	store := folder(t)
	j, p := opened(t, store, nil)
	if p.state != nil || len(p.entries) != 0 || j.at != 1 {
		t.Fatalf("an empty store: %+v, entry %d", p, j.at)
	}
	a, b := schemas.TopicPartition{Topic: "a", Number: 1}, schemas.TopicPartition{Topic: "b"}
	j.took(&schemas.Batch{TopicPartition: a, First: 7, Next: 9}, false)
	j.took(&schemas.Batch{TopicPartition: a, First: 9, Next: 12}, true)
	j.worked(stages.Mode{})
	j.worked(stages.Mode{})
	j.took(&schemas.Batch{TopicPartition: b, First: 0, Next: 3}, false)
	if err := j.append(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.took(&schemas.Batch{TopicPartition: b, First: 3, Next: 4}, true)
	j.worked(stages.Mode{})
	if err := j.append(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.worked(stages.Mode{}) // is lost
	_, p = opened(t, store, nil)
	want := []step{{Topic: "a", Partition: 1, Next: 7}, {Topic: "a", Partition: 1, Next: 12}, {Work: 2}, {Topic: "b"}, {Topic: "b", Next: 3}, {Topic: "b", Next: 4}, {Work: 1}}
	if got := p.steps(); !slices.Equal(got, want) {
		t.Errorf("the steps are %+v\nwant %+v", got, want)
	}
}

// TestJournalFences: once a trainer has begun, an earlier one can write nothing more;
// its entries until then are read.
func TestJournalFences(t *testing.T) {
	store := folder(t)
	old, _ := opened(t, store, nil)
	young := &journal{store: store}
	p, err := young.open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	old.worked(stages.Mode{})
	if err := old.append(t.Context()); err != nil { // between the two halves of the other's beginning
		t.Fatal(err)
	}
	if err := young.begin(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := p.steps(); !slices.Equal(got, []step{{Work: 1}}) {
		t.Errorf("the new trainer knows of %+v", got)
	}
	old.worked(stages.Mode{})
	if err := old.append(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("a trainer of the past: %v", err)
	}
	young.worked(stages.Mode{})
	if err := young.append(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTwoTrainersOnOneStore: a trainer that was replaced while it held a new
// model and a label can let out neither, and the one that replaced it goes on.
func TestTwoTrainersOnOneStore(t *testing.T) {
	ctx := t.Context()
	p, err := Open(ctx, settings(t), telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	old, err := p.openTrainer(ctx, ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer old.table.Close()
	l, challenger := promotion(t, old)
	old.journal.worked(stages.Mode{})
	labels := schemas.TopicPartition{Topic: p.Topics.Labels}
	if err := old.table.Append(ctx, labels, 0, 1, []sinks.LabelRow{{Space: "nb201", Task: "acc"}}); err != nil {
		t.Fatal(err)
	}
	young, err := p.openTrainer(ctx, ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer young.table.Close()
	before := keys(t, p.store, "")
	for what, do := range map[string]func() error{
		"promote":    func() error { return old.decide(ctx, l, challenger, 0) },
		"publish":    func() error { return old.publish(ctx, l, challenger.Model) },
		"commit":     func() error { return old.commit(ctx) },
		"checkpoint": func() error { return old.store(ctx) },
	} {
		if err := do(); !errors.Is(err, ErrReplaced) {
			t.Errorf("the old trainer could %s: %v", what, err)
		}
	}
	if after := keys(t, p.store, ""); !slices.Equal(before, after) {
		t.Errorf("the store held %v, and after the old trainer woke %v", before, after)
	}
	if at, err := young.table.Positions(ctx, []schemas.TopicPartition{labels}); err != nil || len(at) > 0 {
		t.Errorf("the labels table stands at %v, %v", at, err)
	}
	young.journal.worked(stages.Mode{})
	if err := young.store(ctx); err != nil || !slices.Contains(keys(t, p.store, checkpointFolder), checkpointKey(3)) {
		t.Errorf("the new trainer: %v", err)
	}
}

// TestCheckpoints: a torn or foreign checkpoint is reported, and the one before it is
// taken with all of the journal since; only the newest checkpoints are kept, with the
// entries that they need.
func TestCheckpoints(t *testing.T) {
	ctx, store := t.Context(), folder(t)
	j, _ := opened(t, store, nil)
	for n := range int64(6) {
		j.worked(stages.Mode{})
		if err := j.append(ctx); err != nil {
			t.Fatal(err)
		}
		if err := j.checkpoint(ctx, j.at, &saved{Positions: []savedPosition{{"t", 0, n}}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, store, checkpointFolder); len(got) != keptCheckpoints || got[2] != checkpointKey(7) {
		t.Fatalf("kept: %v", got)
	}
	if got := keys(t, store, journalFolder); len(got) != 2 || got[0] != journalKey(6) {
		t.Fatalf("kept: %v", got)
	}
	j.worked(stages.Mode{})
	if err := j.append(ctx); err != nil {
		t.Fatal(err)
	}

	whole, err := store.Read(ctx, checkpointKey(7))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"whole", whole, ""},
		{"torn", whole[:len(whole)-1], "torn"},
		{"empty", nil, "foreign"},
		{"foreign", []byte("archflow checkpoint 9\nabc\n"), "foreign"},
		{"damaged", bytes.Replace(whole, whole[len(whole)-4:], []byte{1, 2, 3, 4}, 1), "damaged"},
		{"no gob", encodeChecksummed(checkpointFormat, []byte("?")), "EOF"},
	} {
		if err := store.Write(ctx, checkpointKey(7), c.data); err != nil {
			t.Fatal(err)
		}
		var output bytes.Buffer
		b := &journal{store: store}
		p, err := b.open(ctx, slog.New(slog.NewTextHandler(&output, nil)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		position, entries := int64(4), 2
		if c.says == "" {
			position, entries = 5, 1
		}
		if p.state == nil || p.state.Positions[0].Next != position || len(p.entries) != entries || p.broken || b.at != 8 {
			t.Errorf("%s: %+v, entry %d", c.name, p, b.at)
		}
		if c.says != "" && (!strings.Contains(output.String(), checkpointKey(7)) || !strings.Contains(output.String(), c.says)) {
			t.Errorf("%s: it says %s", c.name, output.String())
		}
	}
	for _, key := range keys(t, store, checkpointFolder) {
		if err := store.Write(ctx, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (&journal{store: store}).open(ctx, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "train anew") {
		t.Errorf("none is whole: %v", err)
	}
}

// TestDamagedJournal: of a journal with a damaged or missing entry the part
// before is taken, the reason said, and a checkpoint heals it.
func TestDamagedJournal(t *testing.T) {
	for name, spoil := range map[string]func(data []byte) []byte{
		"torn":    func(data []byte) []byte { return data[:len(data)-2] },
		"foreign": func([]byte) []byte { return []byte("{}") },
		"no step": func([]byte) []byte {
			return encodeChecksummed(journalFormat, []byte(`{"steps":[{"topic":"a","work":1}]}`))
		},
		"no JSON": func([]byte) []byte { return encodeChecksummed(journalFormat, []byte(`{`)) },
		"missing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, store := t.Context(), folder(t)
			j, _ := opened(t, store, nil)
			for range 4 {
				j.worked(stages.Mode{})
				if err := j.append(ctx); err != nil {
					t.Fatal(err)
				}
			}
			data, err := store.Read(ctx, journalKey(4))
			if err == nil && spoil == nil {
				err = store.Delete(ctx, journalKey(4))
			} else if err == nil {
				err = store.Write(ctx, journalKey(4), spoil(data))
			}
			if err != nil {
				t.Fatal(err)
			}
			var output bytes.Buffer
			j, p := opened(t, store, &output)
			if got := p.steps(); len(got) != 2 || !p.broken || j.at != 6 || !strings.Contains(output.String(), journalKey(4)) {
				t.Fatalf("%+v, broken %v, entry %d; it says %s", got, p.broken, j.at, output.String())
			}
			if err := j.checkpoint(ctx, j.at, &saved{}); err != nil {
				t.Fatal(err)
			}
			j.worked(stages.Mode{})
			if err := j.append(ctx); err != nil {
				t.Fatal(err)
			}
			if _, p = opened(t, store, nil); p.broken || len(p.steps()) != 1 {
				t.Errorf("after a checkpoint: %+v", p)
			}
		})
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"settings":"a","steps":[{"topic":"a","partition":1,"next":7},{"work":3}]}`))
	f.Add([]byte(`{"steps":[{"work":-1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeEntry(body); err == nil {
			t.Fatal("taken without a seal")
		}
		e, err := decodeEntry(encodeChecksummed(journalFormat, body))
		if err != nil {
			return
		}
		for _, s := range e.Steps {
			if s.Work < 0 || s.Next < 0 || s.Work > 0 && s.Topic != "" {
				t.Fatalf("%+v is taken", s)
			}
		}
	})
}
