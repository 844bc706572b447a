package pipeline

// modelRecord describes a model that the trainer promotes. It is stored beside the
// model, before the registry names the model, and follows from the journal.
type modelRecord struct {
	Tasks    map[string]taskRecord `json:"tasks"`
	Learnt   map[string]int64      `json:"learnt,omitempty"` // TOPIC/PARTITION -> next offset
	Student  bool                  `json:"student,omitempty"`
	Settings string                `json:"settings"`
}

type taskRecord struct {
	Labels   int64    `json:"labels"`
	Decision string   `json:"decision,omitempty"`
	Why      string   `json:"why,omitempty"`
	Tau      *float64 `json:"tau,omitempty"`
}
