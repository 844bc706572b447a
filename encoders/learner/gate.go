package learner

import (
	"fmt"
	"math"
	"slices"

	"archflow/encoders"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

// Challenger is a newly fitted model and how it compares with the champion, a
// task at a time.
type Challenger struct {
	// Model serves from now on when a task was promoted or dropped: it answers each task
	// as the better-ranking of the two.
	Model    *encoders.Model
	Promoted bool // the model serves: at least one task changed
	Trials   []Trial
	Dropped  []string // tasks that the champion answered and that have no labels any more
	Taught   bool     // Model is the champion with a new student: there are no trials
	GivenUp  bool     // there is no Model: a fault ended the fit
}

// Trial compares champion and challenger on the labels of a task. No score was made with
// its label: the challenger's are out-of-fold, and so are the champion's where it was
// fitted to the label; elsewhere they are predictions.
type Trial struct {
	Task           string
	Labels         int     // that the challenger was fitted to
	ChampionLabels int     // that the champion was fitted to
	Fresh          int     // networks labelled since the champion's fit
	Compared       int     // networks that both have such scores of
	Champion       float64 // Kendall tau on those; NaN without a champion or with fewer than minCompared
	Challenger     float64
	Noise          float64 // standard error of the difference
	OutOfFold      float64 // the challenger's out-of-fold tau on all its labels; NaN when it ranks nothing
	Promoted       bool
	Why            string // the reason for the decision, a sentence
	Suspects       []Suspect

	riper bool // only the challenger was fitted after pre-training caught up
}

// minCompared is the number of labels below which a comparison means nothing.
const minCompared = 8

// decide fills in Promoted and Why. A model that knows more labels, or the first
// one after pre-training has caught up, serves unless it ranks worse beyond
// chance; any other has to rank no worse at all.
func (t *Trial) decide() {
	more := t.Labels > t.ChampionLabels
	figures := fmt.Sprintf("tau %.3f against %.3f of the champion on %d labels that neither was fitted to, standard error %.3f",
		t.Challenger, t.Champion, t.Compared, t.Noise)
	switch {
	case math.IsNaN(t.OutOfFold):
		t.Why = "it gives all of its labels one score, so that its held-out tau is undefined: nothing that is known of their networks tells them apart; publish labels of other networks"
	case t.ChampionLabels == 0:
		t.Promoted, t.Why = true, fmt.Sprintf("the first model of the task, of %d labels, ranks them with tau %.3f, held out", t.Labels, t.OutOfFold)
	case math.IsNaN(t.Champion) && math.IsNaN(t.Challenger):
		t.Promoted, t.Why = true, fmt.Sprintf("it learnt %d labels, the champion %d, and only %d can tell the two apart", t.Labels, t.ChampionLabels, t.Compared)
	case math.IsNaN(t.Champion):
		t.Promoted, t.Why = true, "the champion ranks nothing: "+figures
	case math.IsNaN(t.Challenger) || t.Challenger < t.Champion-t.Noise:
		t.Why = "it ranks worse: " + figures
	case t.riper && !more && t.Challenger < t.Champion:
		t.Promoted, t.Why = true, "its encoder is the first that has finished pre-training, and it ranks no worse beyond chance: "+figures
	case !more && t.Challenger < t.Champion:
		t.Why = fmt.Sprintf("it ranks no better and knows no more labels, %d against %d: %s", t.Labels, t.ChampionLabels, figures)
	case t.Challenger < t.Champion:
		t.Promoted, t.Why = true, fmt.Sprintf("it knows %d labels against %d and ranks no worse beyond chance: %s", t.Labels, t.ChampionLabels, figures)
	default:
		t.Promoted, t.Why = true, "it ranks better: "+figures
		if t.Challenger == t.Champion {
			t.Why = "it ranks as well: " + figures
		}
	}
}

// trial compares the champion with the challenger.
func (l *Learner) trial(all *fitting, f *fitted) Trial {
	t := Trial{riper: !l.ripe && !all.early, Task: f.task.name, Labels: f.labels, OutOfFold: metrics.KendallTau(pick(f.y, f.believed), pick(f.outOfFold, f.believed)), Champion: math.NaN(), Challenger: math.NaN()}
	column := -1
	if l.champion != nil {
		column = l.champion.Task(f.task.name)
	}
	if column >= 0 {
		t.ChampionLabels = l.champion.Tasks[column].Labels
		l.compare(&t, all, f, column)
	}
	t.Suspects = f.task.suspects(f, all.ids)
	t.decide()
	return t
}

// compare ranks the labels as the champion and as the challenger does.
func (l *Learner) compare(t *Trial, all *fitting, f *fitted, column int) {
	ids := all.ids
	answers := l.champion.Predict(l.workspace, &all.graphs, f.rows)
	l.champion.UseCache(answers, ids, f.rows)
	turned := l.champion.Tasks[column].Minimise != f.minimise
	var y, old, new []float64
	for _, i := range f.believed {
		row := f.rows[i]
		own, trained := f.task.trained[ids[row]]
		score := own.score
		if !trained {
			t.Fresh++
			score = answers.Score[column][i]
		}
		if turned { // the goal is another than the champion knows
			score = -score
		}
		if score == score && f.outOfFold[i] == f.outOfFold[i] {
			y, old, new = append(y, f.y[i]), append(old, score), append(new, f.outOfFold[i])
		}
	}
	if t.Compared = len(y); t.Compared < minCompared {
		return
	}
	t.Champion, t.Challenger = metrics.KendallTau(y, old), metrics.KendallTau(y, new)
	t.Noise = differenceNoise(y, old, new)
}

// emptied returns the tasks that the champion answers and that have no labels
// any more.
func (l *Learner) emptied() []string {
	var names []string
	for _, t := range l.tasks {
		if t.empty() && l.champion != nil && l.champion.Task(t.name) >= 0 {
			names = append(names, t.name)
		}
	}
	return names
}

// withoutEmpty drops tasks without labels from the champion when there is
// nothing to fit; nil when it answers none.
func (l *Learner) withoutEmpty() (*Challenger, error) {
	if len(l.emptied()) == 0 {
		return nil, nil
	}
	c := &Challenger{Model: &encoders.Model{Space: l.cfg.Space, Version: l.number + 1}}
	if err := l.serve(c, &fitting{}); err != nil {
		return nil, err
	}
	l.number++
	l.champion = c.Model
	l.forget()
	return c, nil
}

// serve puts together the next serving model: the challenger in the tasks that it won,
// the champion in the others. It records the labels that the challenger was fitted to.
func (l *Learner) serve(c *Challenger, all *fitting) error {
	ready := all.ready
	c.Dropped = l.emptied()
	var taken, kept []string
	for i := range ready {
		if c.Trials[i].Promoted {
			taken = append(taken, c.Trials[i].Task)
		}
	}
	older := l.champion
	if older == nil {
		older = &encoders.Model{}
	}
	for _, t := range older.Tasks {
		if !slices.Contains(taken, t.Name) && !slices.Contains(c.Dropped, t.Name) {
			kept = append(kept, t.Name)
		}
	}
	c.Promoted = len(taken) > 0 || len(c.Dropped) > 0
	if !c.Promoted {
		return nil
	}
	if len(taken) < len(ready) || len(kept) > 0 || len(ready) == 0 {
		var err error
		if c.Model, err = encoders.Compose(c.Model, older, taken, kept); err != nil {
			return err
		}
	}
	ids := all.ids
	for _, f := range ready {
		if !slices.Contains(taken, f.task.name) {
			continue
		}
		f.task.trained = map[schemas.ID]heldOut{}
		unsure := orNone(f.spread.outOfFold, len(f.rows))
		for i, row := range f.rows {
			f.task.trained[ids[row]] = heldOut{f.outOfFold[i], unsure[i]}
		}
		for _, s := range f.suspects {
			f.task.trained[ids[f.rows[s.Label]]] = heldOut{nan, nan}
		}
	}
	return nil
}

// differenceNoise returns the standard error of tau(y, a) - tau(y, b) by the
// jackknife over at most 200 groups of labels.
func differenceNoise(y, a, b []float64) float64 {
	groups := min(len(y), 200)
	differences := make([]float64, 0, groups)
	ya, aa, ba := make([]float64, 0, len(y)), make([]float64, 0, len(y)), make([]float64, 0, len(y))
	mean := 0.
	for g := range groups {
		ya, aa, ba = ya[:0], aa[:0], ba[:0]
		for i := range y {
			if i%groups != g {
				ya, aa, ba = append(ya, y[i]), append(aa, a[i]), append(ba, b[i])
			}
		}
		if d := metrics.KendallTau(ya, aa) - metrics.KendallTau(ya, ba); d == d {
			differences = append(differences, d)
			mean += d
		}
	}
	mean /= float64(max(len(differences), 1))
	sum := 0.
	for _, d := range differences {
		sum += (d - mean) * (d - mean)
	}
	return math.Sqrt(sum * float64(groups-1) / float64(groups))
}
