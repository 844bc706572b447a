package stages

import (
	"context"

	"archflow/encoders"
	"archflow/schemas"
)

// ModelSet is the set of models that answers at one time: the champion of each space. It
// never changes; the next promotion makes the next set.
type ModelSet struct {
	Version int64 // of the registry, counting from 1; 0 is the empty registry
	Spaces  map[schemas.Symbol]*Champion
}

// Champion answers the candidates of one space.
type Champion struct {
	Name    schemas.Symbol  // such as "nb201/17"; NoSymbol before the first model
	Model   *encoders.Model // nil before the first
	Waiting []Waiting       // tasks that the model does not answer yet
	tasks   []schemas.Symbol
}

// NewChampion returns a champion with its names interned. model may be nil.
func NewChampion(model *encoders.Model, waiting []Waiting) (*Champion, error) {
	c := &Champion{Name: schemas.NoSymbol, Model: model, Waiting: waiting}
	if model == nil {
		return c, nil
	}
	var err error
	if c.Name, err = schemas.Intern(model.Name()); err != nil {
		return nil, err
	}
	for _, t := range model.Tasks {
		task, err := schemas.Intern(t.Name)
		if err != nil {
			return nil, err
		}
		c.tasks = append(c.tasks, task)
	}
	return c, nil
}

// Waiting is a task with labels but without predictions.
type Waiting struct {
	Task   schemas.Symbol
	Reason schemas.Symbol // a sentence
}

// Models gives a set of models by its version, or schemas.NewestRegistry.
type Models interface {
	ModelSet(ctx context.Context, version int64) (*ModelSet, error)
}
