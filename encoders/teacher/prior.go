package teacher

import "slices"

// A handful of labels ranks worse than a good proxy does without any. So proxies
// count by themselves while labels are few: each by how far it agrees with the
// labels, which is taken to be a little to begin with, as it is in the spaces that
// are known.

const (
	// agreeing is the prior of the tau between a proxy and a task, and agreeingLabels its
	// weight in labels.
	agreeing       = 0.3
	agreeingLabels = 15.0
	// Beside the ranking that is learnt from n labels the proxies have the weight
	// (proxiesAlone/n)², up to fewLabels.
	proxiesAlone = 10.0
	fewLabels    = 40
)

// lean adds a prior from the proxies to the scores; related labels, where they are a
// feature, weigh more.
func (s *scores) lean(blocks []block, labelled []int, y []float64) {
	n := float64(len(y))
	share := (proxiesAlone / n) * (proxiesAlone / n)
	at := slices.IndexFunc(blocks, func(b block) bool { return b.name == ranksBlock })
	if len(y) > fewLabels || at < 0 || slices.ContainsFunc(blocks, func(b block) bool { return b.name == relatedBlock }) {
		return
	}
	b := &blocks[at]
	sum, plain := make([]float64, len(s.all)), make([]float64, len(s.all))
	own := make([]float64, len(labelled))
	for j := range b.width {
		for k, row := range labelled {
			own[k] = float64(b.values[row*b.width+j])
		}
		agreement := (n*tau(y, own) + agreeing*agreeingLabels) / (n + agreeingLabels)
		for i := range sum {
			v := float64(b.values[i*b.width+j])
			plain[i] += v
			sum[i] += agreement * v
		}
	}
	unit, learnt, centre := scaleOf(plain).factor, scaleOf(s.all), mean(sum)
	for i := range s.all {
		s.all[i] = learnt.at(s.all[i]) + share*unit*(sum[i]-centre)
	}
	for k, row := range labelled {
		s.outOfFold[k] = learnt.at(s.outOfFold[k]) + share*unit*(sum[row]-centre)
	}
}
