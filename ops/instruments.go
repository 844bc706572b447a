package ops

// Kind is how an instrument's points add up.
type Kind string

// The kinds of instruments.
const (
	Counter   Kind = "counter"   // only grows; read it as a rate
	Gauge     Kind = "gauge"     // the latest value
	Histogram Kind = "histogram" // a distribution, with exemplars that name a trace
)

// Attribute is a dimension of an instrument. Its number of values is bounded: values
// after the first Bound are counted under "other".
type Attribute struct {
	Name   string
	Bound  int
	Values string // the values, for the documentation
}

// Instrument is one row of the table of metrics.
type Instrument struct {
	Name       string // OpenTelemetry's; the unit is not part of it
	Kind       Kind
	Unit       string // UCUM; {...} counts things
	Attributes []Attribute
	Buckets    []float64 // upper bounds of a histogram, in Unit
	Meaning    string
	Runtime    bool // recorded by the Go runtime instrumentation, not by this package
}

var (
	byStage     = Attribute{"stage", 32, "the stages of the topology, such as `decode`"}
	byState     = Attribute{"state", 3, "`busy`, `idle`, `blocked`"}
	byTopic     = Attribute{"topic", 16, "the topics that are read"}
	byNumber    = Attribute{"partition", 1024, "partition numbers"}
	bySink      = Attribute{"sink", 16, "what is committed to, such as `predictions topic`"}
	byTable     = Attribute{"table", 8, "`predictions`, `labels`, `dead_letters`"}
	byOperation = Attribute{"operation", 4, "`commit`, `compaction`"}
	byRoute     = Attribute{"route", 16, "method and path, such as `POST /api/predict`"}
	byStatus    = Attribute{"status", 32, "of HTTP, such as `200`"}
	byClass     = Attribute{"class", 64, "the closed list of rejection classes"}
	bySpace     = Attribute{"space", 32, "search spaces"}
	byTask      = Attribute{"task", 64, "what labels measure"}
	byPart      = Attribute{"part", 16, "parts of the loss: `flow`, `proxies`, `total`"}
	byPhase     = Attribute{"phase", 4, "`pretrain`, `finetune`"}
	byAnswer    = Attribute{"answered", 2, "`true` when at least one task has a value"}
	byOutcome   = Attribute{"decision", 8, "of the trainer `promoted`, `refused`; of operators `pinned`, `rolled_back`, `released`"}
	byTop       = Attribute{"top", 4, "share of the ranking that is looked at: `1%`, `5%`"}

	seconds  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	rowSizes = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384}
)

// table holds every metric of archflow. The instruments are created from it,
// docs/metrics.md and the dashboards are generated from it, and the alert rules
// are checked against it.
var table = []Instrument{
	{Name: "archflow.stage.rows_in", Kind: Counter, Unit: "{row}", Attributes: []Attribute{byStage}, Meaning: "Rows that a stage took."},
	{Name: "archflow.stage.rows_out", Kind: Counter, Unit: "{row}", Attributes: []Attribute{byStage}, Meaning: "Rows that a stage passed on; what is missing became dead letters."},
	{Name: "archflow.stage.batches", Kind: Counter, Unit: "{batch}", Attributes: []Attribute{byStage}, Meaning: "Batches that a stage finished."},
	{Name: "archflow.stage.time", Kind: Counter, Unit: "s", Attributes: []Attribute{byStage, byState}, Meaning: "Time of a stage's workers: working, waiting for input, waiting for room downstream. The three rates sum to the number of workers."},
	{Name: "archflow.stage.workers", Kind: Gauge, Unit: "{worker}", Attributes: []Attribute{byStage}, Meaning: "Workers that run a stage."},
	{Name: "archflow.stage.queue.depth", Kind: Gauge, Unit: "{batch}", Attributes: []Attribute{byStage}, Meaning: "Batches that wait in front of a stage."},
	{Name: "archflow.stage.queue.capacity", Kind: Gauge, Unit: "{batch}", Attributes: []Attribute{byStage}, Meaning: "Room in front of a stage."},
	{Name: "archflow.stage.batch.size", Kind: Histogram, Unit: "{row}", Attributes: []Attribute{byStage}, Buckets: rowSizes, Meaning: "Rows of a batch as a stage took it."},
	{Name: "archflow.stage.duration", Kind: Histogram, Unit: "s", Attributes: []Attribute{byStage}, Buckets: seconds, Meaning: "Busy time of a batch in a stage."},

	{Name: "archflow.lag.messages", Kind: Gauge, Unit: "{message}", Attributes: []Attribute{byTopic, byNumber}, Meaning: "Messages of an assigned partition whose answer or refusal is not committed to its topic."},
	{Name: "archflow.lag.time", Kind: Gauge, Unit: "s", Attributes: []Attribute{byTopic, byNumber}, Meaning: "Age of the oldest of them that has been read; it grows while nothing moves, 0 when there is none."},
	{Name: "archflow.lag.open.messages", Kind: Gauge, Unit: "{message}", Attributes: []Attribute{byTopic, byNumber}, Meaning: "Messages of an assigned partition that cannot be read yet, because a transaction of their publisher is open."},
	{Name: "archflow.lag.open.time", Kind: Gauge, Unit: "s", Attributes: []Attribute{byTopic, byNumber}, Meaning: "For how long an open transaction has kept messages from being read, 0 without one."},
	{Name: "archflow.prediction.latency", Kind: Histogram, Unit: "s", Buckets: seconds, Meaning: "From a candidate's Kafka timestamp to its prediction, the oldest of each batch."},
	{Name: "archflow.predictions", Kind: Counter, Unit: "{prediction}", Attributes: []Attribute{bySpace, byAnswer}, Meaning: "Candidates that got their prediction."},
	{Name: "archflow.dead_letters", Kind: Counter, Unit: "{message}", Attributes: []Attribute{byClass}, Meaning: "Messages that could not be used."},

	{Name: "archflow.sink.rows", Kind: Counter, Unit: "{row}", Attributes: []Attribute{bySink}, Meaning: "Rows that a sink committed."},
	{Name: "archflow.sink.commit.duration", Kind: Histogram, Unit: "s", Attributes: []Attribute{bySink}, Buckets: seconds, Meaning: "Time of a commit, with its files."},
	{Name: "archflow.sink.commit.failures", Kind: Counter, Unit: "{attempt}", Attributes: []Attribute{bySink}, Meaning: "Commits that failed and were tried again or given up."},
	{Name: "archflow.table.conflicts", Kind: Counter, Unit: "{conflict}", Attributes: []Attribute{byTable, byOperation}, Meaning: "Times that another writer of a table was faster. A commit is then repeated and a compaction given up; a rate near that of the commits calls for a longer `--table-interval`."},

	{Name: "archflow.api.requests", Kind: Counter, Unit: "{request}", Attributes: []Attribute{byRoute, byStatus}, Meaning: "Requests of the HTTP API that were answered."},
	{Name: "archflow.api.duration", Kind: Histogram, Unit: "s", Attributes: []Attribute{byRoute}, Buckets: seconds, Meaning: "Time of a request of the HTTP API, what it waits for a model included."},
	{Name: "archflow.api.rejected", Kind: Counter, Unit: "{element}", Attributes: []Attribute{byClass}, Meaning: "Elements of batches that the HTTP API rejected, and whole requests."},

	{Name: "archflow.training.loss", Kind: Gauge, Unit: "{loss}", Attributes: []Attribute{bySpace, byPart}, Meaning: "Loss of the last training steps."},
	{Name: "archflow.training.steps", Kind: Counter, Unit: "{step}", Attributes: []Attribute{bySpace, byPhase}, Meaning: "Training steps."},
	{Name: "archflow.training.labels", Kind: Counter, Unit: "{label}", Attributes: []Attribute{byTask}, Meaning: "Labels that arrived."},
	{Name: "archflow.training.labels.waiting", Kind: Gauge, Unit: "{label}", Attributes: []Attribute{bySpace}, Meaning: "Labels whose candidates have not come."},
	{Name: "archflow.training.labels.given_up", Kind: Counter, Unit: "{label}", Attributes: []Attribute{bySpace}, Meaning: "Labels given up because their candidates did not come and no more may wait; their rows in the table have no architecture."},
	{Name: "archflow.training.finetune.duration", Kind: Histogram, Unit: "s", Attributes: []Attribute{bySpace}, Buckets: seconds, Meaning: "Time of a fine-tune, from the fork to the decision."},
	{Name: "archflow.training.replay.size", Kind: Gauge, Unit: "{network}", Attributes: []Attribute{bySpace}, Meaning: "Distinct networks in the replay buffer."},
	{Name: "archflow.model.decisions", Kind: Counter, Unit: "{decision}", Attributes: []Attribute{bySpace, byOutcome}, Meaning: "Challengers that were promoted or refused, and what operators chose."},
	{Name: "archflow.model.version", Kind: Gauge, Unit: "{version}", Attributes: []Attribute{bySpace}, Meaning: "Version of the model that answers; the 17 of `nb201/17`."},
	{Name: "archflow.model.pinned", Kind: Gauge, Unit: "{pinned}", Attributes: []Attribute{bySpace}, Meaning: "1 while an operator has pinned the model that answers."},
	{Name: "archflow.model.age", Kind: Gauge, Unit: "s", Attributes: []Attribute{bySpace}, Meaning: "Time since that model was made."},
	{Name: "archflow.score.tau", Kind: Gauge, Unit: "{tau}", Attributes: []Attribute{byTask}, Meaning: "Running Kendall tau between predictions and the labels that came after them, of those labels alone: low where a search labels only what is predicted to be best."},
	{Name: "archflow.score.tau_random", Kind: Gauge, Unit: "{tau}", Attributes: []Attribute{byTask}, Meaning: "The tau that labels of candidates at random would have, estimated from those that came and from how narrowly they were chosen among the predictions: a search does not lower it."},
	{Name: "archflow.score.tau_random_error", Kind: Gauge, Unit: "{tau}", Attributes: []Attribute{byTask}, Meaning: "Standard error of that estimate."},
	{Name: "archflow.score.precision", Kind: Gauge, Unit: "1", Attributes: []Attribute{byTask, byTop}, Meaning: "Share of the predicted top that belongs to the true top."},
	{Name: "archflow.score.coverage", Kind: Gauge, Unit: "1", Attributes: []Attribute{byTask}, Meaning: "Share of labels inside the 90 % interval that was predicted for them."},
	{Name: "archflow.score.pairs", Kind: Gauge, Unit: "{label}", Attributes: []Attribute{byTask}, Meaning: "Labels with an earlier prediction that the running scores look at."},

	{Name: "archflow.ready", Kind: Gauge, Unit: "{ready}", Meaning: "1 while /readyz says yes."},

	{Name: "go.memory.used", Kind: Gauge, Unit: "By", Attributes: []Attribute{{"go.memory.type", 2, "`stack`, `other`"}}, Meaning: "Memory that the Go runtime uses.", Runtime: true},
	{Name: "go.memory.allocated", Kind: Counter, Unit: "By", Meaning: "Memory allocated to the heap.", Runtime: true},
	{Name: "go.memory.allocations", Kind: Counter, Unit: "{allocation}", Meaning: "Allocations on the heap.", Runtime: true},
	{Name: "go.memory.gc.goal", Kind: Gauge, Unit: "By", Meaning: "Heap size at which the next garbage collection ends.", Runtime: true},
	{Name: "go.memory.limit", Kind: Gauge, Unit: "By", Meaning: "GOMEMLIMIT, where it is set.", Runtime: true},
	{Name: "go.goroutine.count", Kind: Gauge, Unit: "{goroutine}", Meaning: "Live goroutines.", Runtime: true},
	{Name: "go.processor.limit", Kind: Gauge, Unit: "{thread}", Meaning: "GOMAXPROCS.", Runtime: true},
	{Name: "go.config.gogc", Kind: Gauge, Unit: "%", Meaning: "GOGC.", Runtime: true},
}
