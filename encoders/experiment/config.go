package experiment

import (
	"fmt"
	"slices"
	"strings"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/internal/finite"
	"archflow/schemas"
)

// Predictors.
const (
	Published = "fgp"  // the encoder, pre-trained and fine-tuned as the paper does
	Best      = "best" // closed-form heads on many features, the encoder's embedding among them
)

// Pretrainings are the pretexts of an encoder; fgp is flow and proxy.
var Pretrainings = append([]string{"none", "flow", "proxy", "fgp"}, encoders.Pretexts...)

// MaxK bounds the length of a surrogate.
const MaxK = 256

// Config describes an experiment. Zero values take the defaults in brackets.
type Config struct {
	Predictor      string  `json:"predictor"`             // fgp or best [best]
	Encoder        string  `json:"encoder"`               // one of encoders.Names [resgated]
	Pretrain       string  `json:"pretrain"`              // one of Pretrainings [fgp]
	Width          int     `json:"width"`                 // of the encoder [encoders.DefaultSize]
	Layers         int     `json:"layers"`                // [encoders.DefaultSize]
	Epochs         int     `json:"epochs"`                // of pre-training [200; best: 40]
	FineTuneEpochs int     `json:"finetune_epochs"`       // [200; nb201: 500, nb301: 300]
	Margin         float64 `json:"margin"`                // of the fine-tuning's hinge [.5; nb301: .1]
	K              int     `json:"k"`                     // of the surrogate [by space]
	Std            float64 `json:"std"`                   // of its random weights [by space]
	Standardise    bool    `json:"standardise"`           // the surrogate's dimensions before they are fitted; best always does
	FlowWeight     float64 `json:"flow_weight"`           // of the surrogate's loss beside the proxies', which is .5 [.5]
	FlowSeed       uint64  `json:"flow_seed"`             // of the surrogate's random weights [the seed of the split]
	Draws          int     `json:"draws"`                 // independent surrogates that are fitted side by side [1]
	Prune          bool    `json:"prune"`                 // encode networks, not graphs as given; best always does
	Merge          bool    `json:"merge"`                 // equal networks share proxies and, when pruned, are one; best always does
	Student        bool    `json:"student"`               // best: measure the distilled encoder too
	LowerLabel     string  `json:"lower_label,omitempty"` // best: the name of Table.Lower
	Lower          int     `json:"lower,omitempty"`       // rows that have a label of that cheaper training too
	Corrupt        string  `json:"corrupt,omitempty"`     // best: the text of a Corruption of the labels that train
	// AsPublished takes every choice of the paper's code: its one draw of the surrogate,
	// graphs as given, one proxy, its sizes, sampled pairs, margins and clipped gradients.
	AsPublished bool `json:"as_published,omitempty"`

	Variant flow.Variant `json:"variant"` // of the surrogate [as published]

	// Proxies names those of the table that are used, in order; nil takes all
	// that at least a fifth of the items carry, and for the heads of best all.
	Proxies []string `json:"proxies"`

	pairs int // sampled for each graph in the ranking of proxies; 0: all
}

// withDefaults fills in zero fields, for a space.
func (c Config) withDefaults(space string) Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.AsPublished {
		c.Predictor = Published
		c.Prune, c.Merge, c.Standardise = false, false, false
		number(&c.Width, map[string]int{"nb101": 256, "nb301": 256}[space])
	}
	text(&c.Predictor, Best)
	text(&c.Encoder, "resgated")
	text(&c.Pretrain, "fgp")
	width, layers := encoders.DefaultSize(c.Encoder)
	number(&c.Width, width)
	number(&c.Layers, layers)
	number(&c.Draws, 1)
	if c.FlowWeight == 0 {
		c.FlowWeight = .5
	}
	if c.Predictor == Best {
		number(&c.Epochs, 40)
		c.Prune, c.Merge, c.Standardise = true, true, true
	}
	if c.AsPublished {
		c.pairs = 8
		if space == "nb201" {
			c.pairs = 32
		}
	}
	number(&c.Epochs, 200)
	number(&c.FineTuneEpochs, map[string]int{"nb201": 500, "nb301": 300}[space])
	number(&c.FineTuneEpochs, 200)
	if c.Margin == 0 {
		c.Margin = .5
		if space == "nb301" {
			c.Margin = .1
		}
	}
	if s, ok := schemas.SpaceOf(space); ok {
		number(&c.K, s.K)
		if c.Std == 0 {
			c.Std = s.Std
		}
	}
	return c
}

// check names the first setting that cannot work with the table.
func (c Config) check(t *Table) error {
	switch {
	case c.Predictor != Best && c.Predictor != Published:
		return fmt.Errorf("predictor %.40q is unknown: choose best or fgp", c.Predictor)
	case !slices.Contains(Pretrainings, c.Pretrain):
		return fmt.Errorf("pretrain %.40q is unknown: choose one of %s", c.Pretrain, strings.Join(Pretrainings, ", "))
	case c.Epochs < 1 || c.FineTuneEpochs < 1:
		return fmt.Errorf("%d epochs of pre-training and %d of fine-tuning: want at least 1", c.Epochs, c.FineTuneEpochs)
	case c.Std < 0 || !finite.Is(c.Std):
		return fmt.Errorf("std %v of the surrogate: want a positive number", c.Std)
	case c.K < 1 || c.K > MaxK || c.Draws < 1 || c.Draws > 64:
		return fmt.Errorf("%d draws of surrogates of length %d: want 1 to 64 of 1 to %d", c.Draws, c.K, MaxK)
	case !(c.FlowWeight > 0) || !finite.Is(c.FlowWeight):
		return fmt.Errorf("weight %v of the surrogate's loss: want a positive number; pretrain proxy goes without", c.FlowWeight)
	}
	if err := c.Variant.Validate(); err != nil {
		return err
	}
	if c.AsPublished && (len(t.Graphs.AttributeStart) > 0 || operations(&t.Graphs) == nil) {
		return fmt.Errorf("as published there are no attributes and at most %d operations: the table has others", encoders.MaxOperations-1)
	}
	if c.AsPublished && (c.Draws > 1 || !c.Variant.Published() || c.FlowSeed != 0 || len(c.Proxies) > 1) {
		return fmt.Errorf("as published there is one draw of the published surrogate and one proxy: leave out draws, variants, the seed of the surrogate and further proxies")
	}
	if corruption, err := ParseCorruption(c.Corrupt); err != nil {
		return err
	} else if corruption != nil && c.Predictor != Best {
		return fmt.Errorf("corruption %.40q: only the best predictor learns from spoilt labels; choose it, or leave them as they are", c.Corrupt)
	}
	for _, name := range c.Proxies {
		if t.proxy(name) < 0 {
			return fmt.Errorf("proxy %.60q is unknown: the table has %s", name, t.proxyNames())
		}
	}
	if c.Pretrain == "proxy" && len(t.Proxies) == 0 {
		return fmt.Errorf("pretrain proxy: the table has no proxies; choose flow or none")
	}
	trunk := c.trunk(0, 1)
	trunk.Operations = operations(&t.Graphs)
	return trunk.Validate()
}

// trunk returns the configuration of an encoder that learns that many proxies.
func (c Config) trunk(seed uint64, proxies int) encoders.TrunkConfig {
	t := encoders.TrunkConfig{Encoder: c.Encoder, Width: c.Width, Layers: c.Layers, RawFlow: !c.Standardise, Seed: seed}
	if c.flows() {
		t.K = c.K * c.Draws
		t.FlowWeight = c.FlowWeight / float64(c.Draws)
	}
	if c.ranks() {
		t.Proxies = proxies
	}
	if c.AsPublished {
		t.Margin, t.Pairs = c.Margin, c.pairs
	}
	if slices.Contains(encoders.Pretexts, c.Pretrain) {
		t.Pretext = c.Pretrain
	}
	if c.Predictor == Best {
		t.ProxyLoss = "gauss"
	}
	return t
}

func (c Config) flows() bool { return c.Pretrain == "flow" || c.Pretrain == "fgp" }
func (c Config) ranks() bool { return c.Pretrain == "proxy" || c.Pretrain == "fgp" }

// proxy returns the place of a proxy, -1 when the table has none of that name.
func (t *Table) proxy(name string) int {
	for i, p := range t.Proxies {
		if p.Name == name {
			return i
		}
	}
	return -1
}

func (t *Table) proxyNames() string {
	if len(t.Proxies) == 0 {
		return "none"
	}
	names := make([]string, len(t.Proxies))
	for i, p := range t.Proxies {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}
