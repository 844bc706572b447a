package experiment

import (
	"math"

	"archflow/encoders/metrics"
	"archflow/internal/finite"
)

// Figure is a number that JSON shows as null when it is not one.
type Figure = finite.Float

// Figures say how well a ranking matches the truth. Precisions are shares of
// one, NaN where q % of the tested rows is less than a row.
type Figures struct {
	Tau      Figure `json:"tau"` // Kendall's tau-b
	Spearman Figure `json:"spearman"`
	P1       Figure `json:"p1"` // precision at 1 %
	P5       Figure `json:"p5"`
	P10      Figure `json:"p10"`
}

// Measure compares predicted with truth; more is better in both.
func Measure(truth, predicted []float64) Figures {
	return Figures{
		Tau:      Figure(metrics.KendallTau(predicted, truth)),
		Spearman: Figure(metrics.Spearman(predicted, truth)),
		P1:       Figure(metrics.PrecisionAt(truth, predicted, .01)),
		P5:       Figure(metrics.PrecisionAt(truth, predicted, .05)),
		P10:      Figure(metrics.PrecisionAt(truth, predicted, .10)),
	}
}

// Run is the result of one split.
type Run struct {
	Seed        uint64 `json:"seed"`
	Permutation int    `json:"permutation"`
	Figures
	// Seconds that this run takes alone, pre-training and features included.
	Seconds Figure `json:"seconds"`
	// Surrogates and Ranked are the rates, in architectures a second, of computing
	// surrogates and of ranking by the fine-tuned encoder; 0 where that was not done.
	Surrogates Figure `json:"surrogates_per_second,omitempty"`
	Ranked     Figure `json:"ranked_per_second,omitempty"`
	// FlowVariance is that of the surrogates that were learnt, summed over their
	// dimensions; 0 without.
	FlowVariance Figure `json:"flow_variance,omitempty"`
	// Suspects is the number of labels that were not learnt from.
	Suspects int `json:"suspects,omitempty"`
	// Uncertainty measures intervals and probabilities; the best predictor only.
	Uncertainty *Uncertainty `json:"uncertainty,omitempty"`
	// Student is how the distilled encoder ranks the same rows; the best
	// predictor only.
	Student *Student `json:"student,omitempty"`
}

// Student says how well a distilled encoder ranks.
type Student struct {
	Figures
	// Teacher is Kendall's tau with the teacher on networks that the student did
	// not see.
	Teacher Figure `json:"teacher"`
	Seconds Figure `json:"seconds"`
}

// Summary is the mean or the standard deviation of runs.
type Summary struct {
	Figures
	Seconds Figure `json:"seconds"`
}

// Summarise returns the mean of the runs and their sample standard deviation,
// which is 0 for a single run.
func Summarise(runs []Run) (mean, sd Summary) {
	rows := make([]Summary, len(runs))
	for i, r := range runs {
		rows[i] = Summary{r.Figures, r.Seconds}
	}
	return summarise(rows)
}

// SummariseStudents is Summarise of the students; ok is false without any.
func SummariseStudents(runs []Run) (mean, sd Summary, ok bool) {
	var rows []Summary
	for _, r := range runs {
		if r.Student != nil {
			rows = append(rows, Summary{r.Student.Figures, r.Student.Seconds})
		}
	}
	mean, sd = summarise(rows)
	return mean, sd, len(rows) > 0
}

func summarise(rows []Summary) (mean, sd Summary) {
	to, spread := mean.fields(), sd.fields()
	for f := range to {
		n, sum, squares := Figure(len(rows)), Figure(0), Figure(0)
		for i := range rows {
			sum += *rows[i].fields()[f]
		}
		*to[f] = sum / n
		for i := range rows {
			d := *rows[i].fields()[f] - *to[f]
			squares += d * d
		}
		*spread[f] = Figure(math.Sqrt(float64(squares / max(n-1, 1))))
	}
	return mean, sd
}

func (s *Summary) fields() [6]*Figure {
	return [6]*Figure{&s.Tau, &s.Spearman, &s.P1, &s.P5, &s.P10, &s.Seconds}
}
