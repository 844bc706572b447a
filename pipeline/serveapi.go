package pipeline

import (
	"archflow/pipeline/api"
	"archflow/stages"
)

// apiOptions gives the handlers of programs what this process has.
func (p *Process) apiOptions() api.Options {
	o := api.Options{Limits: p.config.Limits(), Models: p.registry, Surrogate: p.config.Surrogate}
	if p.config.Role != RoleTrainer {
		o.Stages = p.newStages
	}
	return o
}

// newStages returns the stages of the stream, from messages to predictions, for
// one goroutine.
func (p *Process) newStages() []stages.Stage {
	return []stages.Stage{
		stages.NewDecode(p.config.Limits()),
		stages.NewSurrogate(p.flows),
		stages.NewPredict(p.registry, p.config.Embedding),
	}
}
