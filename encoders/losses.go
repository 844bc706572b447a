package encoders

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"archflow/encoders/metrics"
)

// ranking computes the losses of one output over a batch. It keeps its memory.
type ranking struct {
	order    []int32 // rows with a target, best first
	scores   []float32
	targets  []float32
	gradient []float32
	tail     []float64
}

// sort takes the rows whose target is a number, best first, ties by row.
func (r *ranking) sort(scores, targets []float32) {
	r.order = r.order[:0]
	for i, t := range targets {
		if t == t {
			r.order = append(r.order, int32(i))
		}
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(targets[b], targets[a]), cmp.Compare(a, b))
	})
	n := len(r.order)
	r.scores, r.targets, r.gradient = resized(r.scores, n), resized(r.targets, n), resized(r.gradient, n)
	for i, o := range r.order {
		r.scores[i], r.targets[i] = scores[o], targets[o]
	}
	clear(r.gradient)
}

// give adds the gradient times weight to dscores.
func (r *ranking) give(dscores []float32, weight float32) {
	for i, o := range r.order {
		dscores[o] += weight * r.gradient[i]
	}
}

// hinge returns the mean of max(0, margin - (score of the better - score of the
// worse)) over all pairs of unequal targets, more being better, and adds weight
// times its gradient to dscores. Rows whose target is NaN are left out. All
// slices have the length of the batch.
func (r *ranking) hinge(dscores, scores, targets []float32, margin, weight float32) float64 {
	r.sort(scores, targets)
	n, pairs, total := len(r.order), 0, 0.
	for i, from := 0, 0; i < n; i++ {
		if from <= i {
			from = i + 1
		}
		for from < n && r.targets[from] == r.targets[i] {
			from++
		}
		pairs += n - from
		sum, active := hingeRow(r.gradient[from:], r.scores[from:], margin-r.scores[i])
		total += float64(sum)
		r.gradient[i] -= active
	}
	if pairs == 0 {
		return 0
	}
	r.give(dscores, weight/float32(pairs))
	return total / float64(pairs)
}

// sampled is hinge over random pairs: every row with count others, drawn with
// replacement, equal targets left out.
func (r *ranking) sampled(dscores, scores, targets []float32, margin, weight float32, count int, random *rand.Rand) float64 {
	r.sort(scores, targets)
	n, pairs, total := len(r.order), 0, 0.
	for i := range n {
		for range count {
			better, worse := i, random.IntN(n)
			if worse < better {
				better, worse = worse, better
			}
			if r.targets[better] == r.targets[worse] {
				continue
			}
			pairs++
			if d := margin - r.scores[better] + r.scores[worse]; d > 0 {
				total += float64(d)
				r.gradient[better]--
				r.gradient[worse]++
			}
		}
	}
	if pairs == 0 {
		return 0
	}
	r.give(dscores, weight/float32(pairs))
	return total / float64(pairs)
}

// hingeRow sums max(0, base + scores) and counts the positive terms, also in gradient. It
// takes the sign bit instead of an unpredictable branch.
func hingeRow(gradient, scores []float32, base float32) (sum, active float32) {
	gradient = gradient[:len(scores)]
	for j, s := range scores {
		d := base + s
		on := float32(1 - math.Float32bits(d)>>31)
		sum += d * on
		active += on
		gradient[j] += on
	}
	return sum, active
}

// listMLE returns the negative log likelihood, per row, of the targets' order
// under the Plackett-Luce model of the scores, and adds weight times its
// gradient to dscores; NaN targets are left out. Source: Xia et al., 2008.
func (r *ranking) listMLE(dscores, scores, targets []float32, weight float32) float64 {
	r.sort(scores, targets)
	n := len(r.order)
	if n < 2 {
		return 0
	}
	top := float64(slices.Max(r.scores))
	loss, below := 0., 0.
	// tail[i] = sum over j >= i of exp(s_j); row j's gradient needs the sum
	// over i <= j of 1 / tail[i].
	tail := resized(r.tail, n)
	r.tail = tail
	for i := n - 1; i >= 0; i-- {
		below += math.Exp(float64(r.scores[i]) - top)
		tail[i] = below
		loss += math.Log(below) + top - float64(r.scores[i])
	}
	above := 0.
	for j := range n {
		above += 1 / tail[j]
		r.gradient[j] = float32(math.Exp(float64(r.scores[j])-top)*above - 1)
	}
	r.give(dscores, weight/float32(n))
	return loss / float64(n)
}

// gauss returns the mean squared distance of the scores from the normal
// quantiles of the targets' ranks in this batch, ties averaged, and adds weight
// times its gradient to dscores; NaN targets are left out.
func (r *ranking) gauss(dscores, scores, targets []float32, weight float32) float64 {
	r.sort(scores, targets)
	n, loss := len(r.order), 0.
	for i := 0; i < n; {
		j := i + 1
		for j < n && r.targets[j] == r.targets[i] {
			j++
		}
		want := metrics.NormalQuantile(1 - (float64(i+j)/2)/float64(n))
		for ; i < j; i++ {
			d := float64(r.scores[i]) - want
			loss += d * d
			r.gradient[i] = float32(2 * d)
		}
	}
	if n == 0 {
		return 0
	}
	r.give(dscores, weight/float32(n))
	return loss / float64(n)
}

// squares returns the mean over the rows of the sum over the columns of
// (output - target)², and adds weight times its gradient to doutputs. All
// slices are [rows, k]; NaN targets are left out.
func squares(doutputs, outputs, targets []float32, rows int, weight float32) float64 {
	loss, share := 0., 2*weight/float32(max(rows, 1))
	for i, t := range targets {
		if t == t {
			d := outputs[i] - t
			loss += float64(d) * float64(d)
			doutputs[i] += share * d
		}
	}
	return loss / float64(max(rows, 1))
}
