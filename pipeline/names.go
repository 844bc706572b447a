package pipeline

// The stages of the three lines. The trainer's have names of their own, because
// a process may hold both.
const (
	stageSource        = "source"
	stageDecode        = "decode"
	stageSurrogate     = "surrogate"
	stagePredict       = "predict"
	stagePredictions   = "predictions topic"
	stageTable         = "predictions"
	stageDeadLetters   = "dead_letters"
	stageTrainerSource = "trainer source"
	stageTrainerDecode = "trainer decode"
	stageLabels        = "labels"
	stageTrain         = "train"
	stageRefused       = "refused labels topic"
	stageRefusedLabels = "refused labels"
)

// declare announces the stages of this process's roles in the order of the flow, so that
// the page draws them before the first batch.
func (p *Process) declare() {
	stage := p.report.Metrics.Stage
	line := func(names ...string) {
		stage(names[0])
		for i, name := range names[1:] {
			stage(name).After(names[i])
		}
	}
	if p.config.Role != RoleTrainer {
		line(stageSource, stageDecode, stageSurrogate, stagePredict, stagePredictions, stageTable, stageDeadLetters)
	}
	if p.config.Role != RoleWorker {
		line(stageTrainerSource, stageTrainerDecode)
		stage(stageLabels)
		line(stageTrain, stageRefused, stageRefusedLabels)
		stage(stageTrain).After(stageTrainerDecode, stageLabels)
	}
}
