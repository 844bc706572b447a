package encoders

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"archflow/encoders/metrics"
	"archflow/schemas"
)

// FineTuneConfig says how a head is fitted. Zero values take the defaults in
// brackets.
type FineTuneConfig struct {
	Epochs       int     // [200]
	Batch        int     // graphs a step, all pairs of which are ranked [16]
	Loss         string  // hinge or listmle [hinge]
	Margin       float64 // of the hinge [.5]
	LearningRate float64 // [1e-3]
	WeightDecay  float64 // [1e-6]
	Clip         float64 // longest gradient of a step; 0: any
	Seed         uint64  // of the head, the order and dropout
	Cores        int     // goroutines of CrossFineTune, a fold each [GOMAXPROCS]
	// Pace, if given, is called before each mini-batch and may take its time; the
	// cores that it returns are not looked at. CrossFineTune calls it from several
	// goroutines.
	Pace func() int
}

func (c FineTuneConfig) withDefaults() FineTuneConfig {
	if c.Epochs == 0 {
		c.Epochs = 200
	}
	if c.Batch == 0 {
		c.Batch = 16
	}
	if c.Loss == "" {
		c.Loss = "hinge"
	}
	if c.Margin == 0 {
		c.Margin = .5
	}
	if c.LearningRate == 0 {
		c.LearningRate = 1e-3
	}
	if c.WeightDecay == 0 {
		c.WeightDecay = 1e-6
	}
	return c
}

// Validate names the first setting that cannot work.
func (c FineTuneConfig) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Clip < 0 || math.IsNaN(c.Clip):
		return fmt.Errorf("gradients of length %v at most: want a positive number, or 0 for any", c.Clip)
	case c.Epochs < 1 || c.Batch < 2:
		return fmt.Errorf("%d epochs of batches of %d: want at least 1 and 2", c.Epochs, c.Batch)
	case c.Loss != "hinge" && c.Loss != "listmle":
		return fmt.Errorf("loss %.40q is unknown: choose hinge or listmle", c.Loss)
	}
	return nil
}

// fork returns the trunk's encoder with a new head of that many columns, ready to be
// trained; the trunk is only read.
func (t *Trunk) fork(columns int, seed uint64, rate, decay float64, cores int) *training {
	s := t.training.shape
	s.Outputs, s.Readout = []outputShape{{"head", t.Dimension(), columns}}, nil
	n, err := newNetwork(s, t.training.vocabulary.clone())
	if err != nil {
		panic(err) // the trunk was made from the same shape
	}
	random := rand.NewPCG(seed, 0x68656164)
	weights := n.init(rand.New(random))
	copySlots(weights, &n.layout, t.training.weights, &t.training.layout)
	return newTraining(n, weights, random, rate, decay, cores)
}

// FineTune forks the trunk, which is only read, and trains encoder and head to
// rank the graphs train by y [len(train)], more being better. Of all epochs it
// keeps the one with the best Kendall tau on validate and yv; without
// validation, the last. It returns early when ctx ends.
func FineTune(ctx context.Context, t *Trunk, g *schemas.Graphs, train []int, y []float64, validate []int, yv []float64, c FineTuneConfig) (*Member, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(train) != len(y) || len(validate) != len(yv) {
		return nil, fmt.Errorf("fine-tuning: %d and %d graphs with %d and %d labels", len(train), len(validate), len(y), len(yv))
	}
	for _, v := range y {
		if math.IsNaN(v) {
			return nil, fmt.Errorf("fine-tuning: a label is NaN: leave its graph out")
		}
	}
	targets := make([]float32, len(y))
	ranks := metrics.Ranks(y) // float32 would merge labels that are close
	for i, r := range ranks {
		targets[i] = float32(r)
	}
	if !varies(targets) {
		return nil, fmt.Errorf("fine-tuning: %d labels, of which no two differ: nothing to rank", len(y))
	}
	c = c.withDefaults()
	f := t.fork(1, c.Seed, c.LearningRate, c.WeightDecay, 1)
	f.clip = c.Clip
	f.learn(g, train)
	var (
		rank   ranking
		infer  inference
		order  = slices.Clone(train)
		label  = targets
		batch  = make([]float32, 0, c.Batch+1)
		best   []float32
		top    = math.Inf(-1)
		random = rand.New(f.random)
	)
	for range c.Epochs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		random.Shuffle(len(order), func(i, j int) {
			order[i], order[j] = order[j], order[i]
			label[i], label[j] = label[j], label[i]
		})
		for from := 0; from < len(order); {
			if c.Pace != nil {
				c.Pace()
			}
			to := from + fitting(f.encoder, g, order[from:min(from+c.Batch, len(order))])
			if len(order)-to == 1 {
				to++ // a single graph has no pair
			}
			f.forward(g, order[from:to])
			batch = append(batch[:0], label[from:to]...)
			if c.Loss == "listmle" {
				rank.listMLE(f.doutput[0], f.output[0], batch, 1)
			} else {
				rank.hinge(f.doutput[0], f.output[0], batch, float32(c.Margin), 1)
			}
			f.backward()
			from = to
		}
		if len(validate) > 0 {
			scores := rawMember(f.network, f.weights).scores(&infer, g, validate)[0]
			if tau := metrics.KendallTau(scores, yv); tau > top || best == nil {
				top, best = tau, append(best[:0], f.weights...)
			}
		}
	}
	if best == nil {
		best = f.weights
	}
	return newMember(f.network, best, g, train), nil
}

// CrossFineTune fine-tunes one member for each of folds parts of the labelled graphs,
// leaving that part out, so that all labels train and each is also predicted by a member
// fitted without it: outOfFold[i] is that score of rows[i]. Every member runs all epochs.
// folds is at most len(rows).
func CrossFineTune(ctx context.Context, t *Trunk, g *schemas.Graphs, rows []int, y []float64, folds int, c FineTuneConfig) (members []*Member, outOfFold []float64, err error) {
	folds = min(folds, len(rows))
	if folds < 2 || len(rows) != len(y) {
		return nil, nil, fmt.Errorf("cross-validation: %d folds of %d graphs with %d labels: want at least 2 folds, and a label for each graph", folds, len(rows), len(y))
	}
	fold := foldOf(y, folds, c.Seed)
	members, outOfFold = make([]*Member, folds), make([]float64, len(rows))
	errs := make([]error, folds)
	newWorkerPool(c.Cores, 0).run(folds, func(k, _ int) {
		var train, left []int
		var labels []float64
		for i, row := range rows {
			if fold[i] == k {
				left = append(left, i)
				continue
			}
			train, labels = append(train, row), append(labels, y[i])
		}
		own := c
		own.Seed = c.Seed + uint64(k)
		members[k], errs[k] = FineTune(ctx, t, g, train, labels, nil, nil, own)
		if errs[k] != nil {
			return
		}
		asked := make([]int, len(left))
		for j, i := range left {
			asked[j] = rows[i]
		}
		for j, s := range members[k].Scores(g, asked)[0] {
			outOfFold[left[j]] = s
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, nil, err
		}
	}
	return members, outOfFold, nil
}

// foldOf deals the labels out in the order of their values, so that every fold
// has good and bad ones.
func foldOf(y []float64, folds int, seed uint64) []int {
	random := rand.New(rand.NewPCG(seed, 0x666f6c64))
	fold := make([]int, len(y))
	order := metrics.Descending(y)
	for from := 0; from < len(order); from += folds {
		deal := random.Perm(folds)
		for i, o := range order[from:min(from+folds, len(order))] {
			fold[o] = deal[i]
		}
	}
	return fold
}
