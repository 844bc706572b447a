package ops

import "archflow/internal/finite"

// State is the live page's content, as JSON on /api/state and /events. The pipeline
// publishes a new one a few times a second. Whoever fills a list bounds it, by about the
// figures given here, so that a State stays below 200 KB whatever the traffic. A
// published State does not change any more.
type State struct {
	Time    int64             `json:"time"` // milliseconds since 1970
	Version string            `json:"version"`
	Role    string            `json:"role"`   // all, worker or trainer
	Uptime  float64           `json:"uptime"` // seconds
	Phase   Phase             `json:"phase"`
	Ready   bool              `json:"ready"`
	Reasons map[string]string `json:"reasons,omitempty"` // checks that fail, as /readyz names them

	// TraceURL is where a trace is looked at, with {trace} for its id; "" for nowhere.
	TraceURL string `json:"trace_url,omitempty"`

	Totals      Totals            `json:"totals"`
	Stages      []StageState      `json:"stages"` // StageRates.Next fills it
	Lag         []LagState        `json:"lag"`    // a row for each assigned partition
	Models      []ModelState      `json:"models"`
	Losses      []LossState       `json:"losses"`
	Scores      []ScoreState      `json:"scores"`
	Pairs       []PairsState      `json:"pairs"`
	Best        []BestState       `json:"best"` // best first; 12 are enough
	Maps        []MapState        `json:"maps"`
	DeadLetters []DeadLetterState `json:"dead_letters"` // latest first; 20 are enough
}

// Totals are sums since the start of the process, and the present rate.
type Totals struct {
	Candidates  int64   `json:"candidates"`
	Predictions int64   `json:"predictions"`
	Labels      int64   `json:"labels"`
	DeadLetters int64   `json:"dead_letters"`
	Rate        float64 `json:"rate"` // predictions/s
}

// StageState is one stage. Busy, Idle and Blocked are shares that sum to one
// once the stage has a worker.
type StageState struct {
	Name       string   `json:"name"`
	After      []string `json:"after,omitempty"` // stages that feed it
	In         float64  `json:"in"`              // rows/s
	Out        float64  `json:"out"`             // rows/s
	Rows       int64    `json:"rows"`            // taken since the start
	Busy       float64  `json:"busy"`
	Idle       float64  `json:"idle"`
	Blocked    float64  `json:"blocked"`
	Queue      int      `json:"queue"` // batches
	Capacity   int      `json:"capacity"`
	Bottleneck bool     `json:"bottleneck"`
}

// LagState is how far a partition is behind.
type LagState struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Messages  int64   `json:"messages"`
	Seconds   float64 `json:"seconds"`

	// Open counts the messages that a transaction of their publisher keeps from
	// being read, OpenSeconds for how long it has.
	Open        int64   `json:"open,omitempty"`
	OpenSeconds float64 `json:"open_seconds,omitempty"`
}

// ModelState is the model that answers for a space.
type ModelState struct {
	Space    string   `json:"space"`
	Version  int64    `json:"version"` // 0 before the first
	Made     int64    `json:"made"`    // milliseconds since 1970
	Tasks    []string `json:"tasks"`   // that it can answer
	Networks int      `json:"networks"`
	Labels   int      `json:"labels"`
	Steps    int64    `json:"steps"`
	Doing    string   `json:"doing"` // a few words, such as "pre-training" or "fine-tuning cifar10_test"

	Pinned  bool               `json:"pinned"`            // an operator chose it
	Waiting string             `json:"waiting,omitempty"` // the trainer's newest, which answers when the pin is released
	Stored  []StoredModelState `json:"stored,omitempty"`  // that could answer, newest first; 6 are enough

	Suspects []string `json:"suspects,omitempty"` // labels that look like mistakes, and why, newest first; 6 are enough
}

// StoredModelState is a model that the store keeps.
type StoredModelState struct {
	Name string `json:"name"` // such as nb201/17
	Made int64  `json:"made"` // milliseconds since 1970
}

// LossState is one part of a space's training loss over its steps.
type LossState struct {
	Space  string       `json:"space"`
	Part   string       `json:"part"`   // flow, proxies or total
	Points [][2]float64 `json:"points"` // step, loss; 200 are enough
}

// ScoreState is the running scores of a task; nil where undefined.
type ScoreState struct {
	Task     string       `json:"task"`
	Tau      *float64     `json:"tau"` // of the labels that came
	P1       *float64     `json:"p1"`  // precision at 1 %, a share
	P5       *float64     `json:"p5"`
	Coverage *float64     `json:"coverage"` // of the 90 % intervals, a share
	Pairs    int          `json:"pairs"`
	History  [][2]float64 `json:"history"` // labels, tau_random; 200 are enough

	// TauRandom estimates the tau of labels of candidates at random, whatever was
	// chosen to be labelled; TauError is its standard error.
	TauRandom *float64 `json:"tau_random"`
	TauError  *float64 `json:"tau_error"`
}

// PairsState is predictions and the labels that came after them.
type PairsState struct {
	Task   string       `json:"task"`
	Points [][4]float64 `json:"points"` // predicted, true, low, high; the latest 300 are enough
}

// Cell is a graph of operations, nodes in topological order.
type Cell struct {
	Ops   []string `json:"ops"`
	Edges [][2]int `json:"edges"`
	Notes []string `json:"notes,omitempty"` // attributes of each operation, nil when none has any
	// Hyperparameters are those of the whole architecture, in the first cell; a cell of
	// hyperparameters alone has no operation.
	Hyperparameters string `json:"hyperparameters,omitempty"`
}

// BestState is one of the best predicted architectures.
type BestState struct {
	ID         string       `json:"id"` // as given, or the architecture's hash
	Space      string       `json:"space"`
	Network    string       `json:"network"` // hash; each is here once for a task
	Model      string       `json:"model"`   // that answered, such as nb201/17
	Task       string       `json:"task"`
	Value      finite.Float `json:"value"`
	Low        finite.Float `json:"low"`
	High       finite.Float `json:"high"`
	Percentile finite.Float `json:"percentile"`
	Top        *float64     `json:"top,omitempty"`   // probability of the best 1 %, nil when not known
	Label      finite.Float `json:"label,omitempty"` // the true value, when Labelled
	Labelled   bool         `json:"labelled"`
	Cells      []Cell       `json:"cells"`
}

// MapState is the architectures of a space on two principal components of
// their surrogates, or of their hyperparameters where they have no graph;
// Projection.Points fills it.
type MapState struct {
	Space  string     `json:"space"`
	Of     string     `json:"of"`   // "surrogates" or "hyperparameters"
	Seen   int64      `json:"seen"` // of which Points are a fair sample
	Points []MapPoint `json:"points"`
}

// MapPoint is one architecture of a map: x, y and its percentile, negative
// when it has none.
type MapPoint [3]float32

// DeadLetterState is one refused message.
type DeadLetterState struct {
	Time      int64  `json:"time"` // milliseconds since 1970
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Class     string `json:"class"`
	Reason    string `json:"reason"`
	Value     string `json:"value"`           // its beginning
	Trace     string `json:"trace,omitempty"` // of its publisher, hexadecimal
}
