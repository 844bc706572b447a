package sinks

import "time"

// comments describe the columns of the tables, for people who find them in a catalogue.
// An existing table keeps its own.
var comments = map[string]string{
	"candidate_id":    "id of the candidate, as text",
	"architecture":    "hash of the graph as given; it does not depend on the order of its nodes",
	"network":         "hash of the graph without what lies on no path from input to output",
	"space":           "search space",
	"arch":            "the architecture in the space's own notation",
	"ops":             "operations of the graph's nodes",
	"edges":           "the graph's edges as flattened pairs of nodes",
	"surrogate":       "flow surrogate of the graph",
	"embedding":       "embedding of the encoder, null unless asked for",
	"proxies":         "zero-cost proxies as given, by name",
	"predictions":     "answers by task: score orders (more is better), value with low and high (90 %) is in the unit of the labels",
	"model":           "model that answered, null before the first of the space",
	"topic":           "topic of the message; unique with partition and offset",
	"partition":       "partition of the message",
	"offset":          "offset of the message",
	"candidate_time":  "Kafka's time of the candidate, UTC",
	"predicted_time":  "when it was answered, UTC",
	"trace_id":        "W3C trace of the message",
	"meta":            "meta of the candidate, as JSON",
	"date":            "day of the message's time, UTC",
	"task":            "what the label measures",
	"value":           "the label, null where it was withdrawn",
	"goal":            "max where more is better, min where less is",
	"score":           "predicted before the label was used: the score",
	"predicted_value": "predicted before the label was used: the value",
	"low":             "predicted before the label was used: lower end of the 90 % interval",
	"high":            "predicted before the label was used: upper end of the 90 % interval",
	"percentile":      "predicted before the label was used: percentile among the architectures that the model had seen",
	"label_time":      "Kafka's time of the label, UTC",
	"failed":          "whether the training gave nothing",
	"seed":            "tells repeated trainings apart",
	"fidelity":        "share of the full training, as given; null for all of it",
	"attributes":      "attributes of the nodes",
	"hyperparameters": "hyperparameters of the architecture or its training, by name",

	"scores.score": "orders the networks of a task, more is better",
	"scores.value": "predicted value, in the unit of the labels",
	"scores.low":   "lower end of the 90 % interval",
	"scores.high":  "upper end of the 90 % interval",
	"scores.model": "model that scored the network; unique with network and task",
	"scores.task":  "what is predicted",
	"sd":           "predictive standard deviation of the value",
	"scores.time":  "when it was scored, UTC",

	"models.model":  "model, as predictions and scores name it",
	"version":       "number of the model in its space",
	"registry":      "version of the model registry in which it came",
	"tasks":         "by task: labels it was fitted to, what was decided and why, Kendall's tau on labels held out",
	"learnt":        "by TOPIC/PARTITION of labels the next offset: labels below are in the model, or left out for the reason in why",
	"student":       "whether only the student is new; labels and learnt are those of the model before",
	"configuration": "settings of learning",
	"models.time":   "when it was promoted, UTC",

	"dead_letters.value": "value of the message as it came",

	"key":           "key of the message as it came",
	"headers":       "headers of the message as they came",
	"error":         "why the message was refused: where, the cause, the cure",
	"error_class":   "class of the refusal",
	"message_time":  "Kafka's time of the message, UTC",
	"recorded_time": "when the row was written, UTC",
}

// descriptions of the tables.
var descriptions = map[string]string{
	"predictions":  "Every candidate with its prediction, once: (topic, partition, offset) is unique.",
	"labels":       "Every label beside the prediction that was made before it was used.",
	"scores":       "What newer models say of the networks of predictions: for each network and model once, a row for each task.",
	"models":       "Every model that was promoted, once.",
	"dead_letters": "Every message that could not be used, whole, with the reason.",
}

// commented returns the columns with their comments.
func commented(table string, columns []column) []column {
	list := make([]column, len(columns))
	for i, c := range columns {
		list[i] = c
		text := comments[table+"."+c.Name]
		if text == "" {
			text = comments[c.Name]
		}
		if text != "" {
			list[i].Metadata = map[string]any{"comment": text}
		}
	}
	return list
}

// describedTable is newMetaData with the texts for people.
func describedTable(name string, columns []column, partitionedBy []string, created time.Time) metaData {
	m := newMetaData(commented(name, columns), partitionedBy, created)
	text := descriptions[name]
	m.Name, m.Description = &name, &text
	return m
}
