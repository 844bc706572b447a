package experiment

import (
	"context"
	"slices"
	"testing"
)

// As published, every seed has the same draw and the same splits, the first in the
// order of the table.
func TestAsPublished(t *testing.T) {
	table := chains(t, 200)
	sizes := Sizes{40, 20, 20}
	splits, err := AsPublished(table, []uint32{3, 4}, 2, sizes)
	if err != nil {
		t.Fatal(err)
	}
	if s := splits[0]; !slices.Equal(s.Train, table.labelled()[:20]) || !slices.Equal(s.Validate, table.labelled()[40:60]) || !slices.Equal(s.Test, table.labelled()[60:]) {
		t.Errorf("the first split is not the order of the table: %v", s.Train)
	}
	if !slices.Equal(splits[1].Train, splits[3].Train) || slices.Equal(splits[0].Train, splits[1].Train) || splits[1].noise() == splits[3].noise() {
		t.Error("seeds do not share their permutations, or share their weights")
	}
	var varies []Figure
	for _, s := range []Split{splits[0], splits[2]} {
		e, err := New(table, Config{Width: 16, Layers: 2, Epochs: 2, FineTuneEpochs: 20, K: 4, Std: 1, AsPublished: true})
		if err != nil {
			t.Fatal(err)
		}
		if c := e.Config(); c.Predictor != Published || c.Prune || c.Merge || c.pairs != 8 {
			t.Errorf("configuration %+v", c)
		}
		r, err := e.Run(context.Background(), s)
		if err != nil || !(r.Tau > .2) {
			t.Fatalf("%+v, %v", r, err)
		}
		varies = append(varies, r.FlowVariance)
	}
	if varies[0] != varies[1] || varies[0] == 0 {
		t.Errorf("surrogates of two seeds vary by %v", varies)
	}
	if _, err := New(table, Config{AsPublished: true, FlowSeed: 7, K: 4, Std: 1}); err == nil {
		t.Error("another draw is taken for the published one")
	}
}

// Surrogates that are learnt as they are come from a draw that keeps them in range,
// unless one is asked for.
func TestDrawsInRange(t *testing.T) {
	table := chains(t, 200)
	variance := func(c Config) Figure {
		c.Predictor, c.Pretrain, c.Width, c.Layers, c.Epochs, c.K, c.Std = Published, "flow", 8, 1, 1, 4, 3
		e, err := New(table, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.flows(1, operations(&e.items.graphs)); err != nil {
			t.Fatal(err)
		}
		return e.variance
	}
	large := 0
	for seed := range uint64(8) {
		if variance(Config{FlowSeed: seed + 1}) > LargestVariance {
			large++
		}
	}
	if large == 0 {
		t.Fatal("no draw is out of range: the test shows nothing")
	}
	if v := variance(Config{}); v > LargestVariance {
		t.Errorf("the draw that was chosen varies by %v", v)
	}
}
