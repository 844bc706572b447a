package experiment

import (
	"fmt"
	"math"
	"slices"

	"archflow/encoders/flow"
)

// Row is a line of a suite: a configuration, and how many labels train.
type Row struct {
	Group  string  `json:"group"`
	Name   string  `json:"name"`
	Share  float64 `json:"share,omitempty"` // of the pool, in percent; 0: as many as usual
	Config Config  `json:"-"`
}

// Paper returns the rows of the paper's table: every encoder with every
// pre-training and every share of the labels, in percent. Rows of one
// configuration follow one another.
func Paper(c Config, names, pretrainings []string, shares []float64) []Row {
	var rows []Row
	for _, encoder := range names {
		for _, pretrain := range pretrainings {
			for _, share := range shares {
				own := c
				own.Encoder, own.Pretrain = encoder, pretrain
				rows = append(rows, Row{encoder, fmt.Sprintf("%s, %g %%", pretrain, share), share, own})
			}
		}
	}
	return rows
}

// Ablation returns the rows that each change one thing about the surrogate of c.
// groups names those that are wanted, nil all.
func Ablation(c Config, groups []string) []Row {
	var rows []Row
	add := func(group, name string, change func(*Config)) {
		own := c
		change(&own)
		if groups == nil || slices.Contains(groups, group) {
			rows = append(rows, Row{Group: group, Name: name, Config: own})
		}
	}
	variant := func(group string, values []string, field func(*flow.Variant) *string) {
		for _, v := range values {
			add(group, v, func(c *Config) { *field(&c.Variant) = v })
		}
	}
	for _, p := range Pretrainings {
		add("pretrain", p, func(c *Config) { c.Pretrain = p })
	}
	for rounds := 1; rounds <= flow.MaxRounds; rounds++ {
		add("rounds", fmt.Sprint(rounds), func(c *Config) { c.Variant.Rounds = rounds })
	}
	variant("direction", flow.Directions, func(v *flow.Variant) *string { return &v.Direction })
	variant("gather", flow.Gathers, func(v *flow.Variant) *string { return &v.Gather })
	variant("pool", flow.Pools, func(v *flow.Variant) *string { return &v.Pool })
	variant("scale", flow.Scales, func(v *flow.Variant) *string { return &v.Scale })
	for k := 1; k <= MaxK; k *= 2 {
		add("k", fmt.Sprint(k), func(c *Config) { c.K = k })
	}
	for _, std := range []float64{.01, .03, .1, .3, 1, 3} {
		add("std", fmt.Sprint(std), func(c *Config) { c.Std = std })
	}
	add("standardise", "yes", func(c *Config) { c.Standardise = true })
	for _, weight := range []float64{.05, 5} {
		add("standardise", fmt.Sprint("yes, weight ", weight), func(c *Config) { c.Standardise, c.FlowWeight = true, weight })
	}
	for _, n := range []int{1, 4, 16} {
		for seed := range uint64(5) {
			add(fmt.Sprint("draws ", n), fmt.Sprint("seed ", seed+1), func(c *Config) { c.Draws, c.FlowSeed = n, seed+1 })
		}
	}
	for i, s := range Stable {
		if i == len(Stable)-1 { // the others are rows of gather and scale
			add("stable", s.Name, func(c *Config) { c.Variant = s.Variant })
		}
		add("stable", s.Name+", standardised", func(c *Config) { c.Variant, c.Standardise = s.Variant, true })
	}
	return rows
}

// Groups returns the names of the groups of Ablation.
func Groups() []string {
	var names []string
	for _, r := range Ablation(Config{}, nil) {
		if !slices.Contains(names, r.Group) {
			names = append(names, r.Group)
		}
	}
	return names
}

// SharedSizes returns the sizes of a split in which a share of the pool trains,
// in percent. Where the paper has no pool it is half of the rows.
func SharedSizes(t *Table, share float64) Sizes {
	s := DefaultSizes(t)
	if s.Pool == s.Train {
		s.Pool = len(t.labelled()) / 2
	}
	s.Train = max(int(math.Floor(float64(s.Pool)*share/100)), 2)
	return s
}

// Spread returns the sample standard deviation of the mean figures of rows, each
// a row's runs: how much a choice that should not matter does.
func Spread(rows [][]Run) Summary {
	means := make([]Summary, len(rows))
	for i, runs := range rows {
		means[i], _ = Summarise(runs)
	}
	_, sd := summarise(means)
	return sd
}
