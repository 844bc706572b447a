package schemas

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Prediction is an answer as readers of the predictions topic see it.
type Prediction struct {
	ID           json.RawMessage            `json:"id"`           // as the candidate gave it, null without
	Architecture string                     `json:"architecture"` // hash of the graph as given
	Network      string                     `json:"network"`      // the same of the nodes and edges on a path from input to output
	Space        string                     `json:"space"`
	Model        *string                    `json:"model"`             // such as "nb201/17", nil before there is one
	Tasks        map[string]*TaskPrediction `json:"tasks"`             // nil where a task is not answered yet
	Reason       string                     `json:"reason,omitempty"`  // why a task is not answered
	Unknown      []string                   `json:"unknown,omitempty"` // operations, attributes and values beyond those that the model has learnt
	Source       Source                     `json:"source"`
	Proxies      map[string]float64         `json:"proxies,omitempty"`
	Surrogate    []float32                  `json:"surrogate,omitempty"`
}

// TaskPrediction is the prediction for one task. Unknown fields are nil.
type TaskPrediction struct {
	Score      float64  `json:"score"` // more is better, with any goal
	Value      *float64 `json:"value"` // in the unit of the labels
	Low        *float64 `json:"low"`   // with High, covers 90 %
	High       *float64 `json:"high"`
	Percentile *float64 `json:"percentile"`       // 0 to 100, among the model's networks
	Top        *float64 `json:"top,omitempty"`    // 0 to 1, the probability of being among the best 1 % of that
	Labels     *int64   `json:"labels,omitempty"` // how many the model has learnt
	SD         *float64 `json:"sd,omitempty"`     // predictive standard deviation of the value
	Fails      *float64 `json:"fails,omitempty"`  // 0 to 1, the probability that a training fails; nil without labels of failures
}

// Source is the place of a candidate's message.
type Source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// ParsePrediction reads the output of AppendPrediction.
func ParsePrediction(value []byte) (Prediction, error) {
	var p Prediction
	if err := json.Unmarshal(value, &p); err != nil {
		return p, fmt.Errorf("prediction: %w", err)
	}
	return p, nil
}

// AppendPrediction appends the answer to row row of a record as JSON: c, its
// surrogates if they are asked for, else nil, and p belong to it; from is where
// it came from, left out when it names no topic. A task whose score is not a number is null, a bound that is not
// finite too.
func AppendPrediction(dst []byte, c *Candidates, s *Surrogates, p *Predictions, row int, from TopicPartition) []byte {
	dst = append(dst, `{"id":`...)
	if id := c.ID.At(row); len(id) > 0 {
		dst = append(dst, id...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"architecture":`...)
	dst = appendID(dst, c.Architecture[row])
	dst = append(dst, `,"network":`...)
	dst = appendID(dst, c.Network[row])
	dst = append(dst, `,"space":`...)
	dst = appendString(dst, c.NameOf(row, c.Space[row]))
	dst = append(dst, `,"model":`...)
	if p.Model[row] == NoSymbol {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(dst, Name(p.Model[row]))
	}
	dst = append(dst, `,"tasks":{`...)
	for i := p.TaskStart[row]; i < p.TaskStart[row+1]; i++ {
		if i > p.TaskStart[row] {
			dst = append(dst, ',')
		}
		dst = appendString(dst, Name(p.Task[i]))
		dst = append(dst, ':')
		dst = p.appendTask(dst, int(i))
	}
	dst = append(dst, '}')
	if p.Reason[row] != NoSymbol {
		dst = append(dst, `,"reason":`...)
		dst = appendString(dst, Name(p.Reason[row]))
	}
	if len(p.UnknownStart) > 0 && p.UnknownStart[row] < p.UnknownStart[row+1] {
		dst = append(dst, `,"unknown":[`...)
		for i := p.UnknownStart[row]; i < p.UnknownStart[row+1]; i++ {
			if i > p.UnknownStart[row] {
				dst = append(dst, ',')
			}
			dst = appendString(dst, string(p.Unknown.At(int(i))))
		}
		dst = append(dst, ']')
	}
	if from.Topic != "" {
		dst = append(dst, `,"source":{"topic":`...)
		dst = appendString(dst, from.Topic)
		dst = append(dst, `,"partition":`...)
		dst = strconv.AppendInt(dst, int64(from.Number), 10)
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, c.Offset[row], 10)
		dst = append(dst, '}')
	}
	if first := c.ProxyStart[row]; first < c.ProxyStart[row+1] {
		dst = append(dst, `,"proxies":{`...)
		for i := first; i < c.ProxyStart[row+1]; i++ {
			if i > first {
				dst = append(dst, ',')
			}
			dst = appendString(dst, c.NameOf(row, c.ProxyName[i]))
			dst = append(dst, ':')
			dst = appendFloat(dst, c.ProxyValue[i], 64)
		}
		dst = append(dst, '}')
	}
	if s != nil {
		dst = append(dst, `,"surrogate":[`...)
		for i := s.Start[row]; i < s.Start[row+1]; i++ {
			if i > s.Start[row] {
				dst = append(dst, ',')
			}
			dst = appendFloat(dst, float64(s.Values[i]), 32)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (p *Predictions) appendTask(dst []byte, i int) []byte {
	if math.IsNaN(p.Score[i]) || math.IsInf(p.Score[i], 0) {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"score":`...)
	dst = appendFloat(dst, p.Score[i], 64)
	dst = append(dst, `,"value":`...)
	dst = appendFloat(dst, p.Value[i], 64)
	dst = append(dst, `,"low":`...)
	dst = appendFloat(dst, p.Low[i], 64)
	dst = append(dst, `,"high":`...)
	dst = appendFloat(dst, p.High[i], 64)
	dst = append(dst, `,"percentile":`...)
	dst = appendFloat(dst, p.Percentile[i], 64)
	// Models that do not know it answer as they did before there was this field.
	if top := p.Top[i]; !math.IsNaN(top) {
		dst = append(dst, `,"top":`...)
		dst = appendFloat(dst, top, 64)
	}
	for _, told := range [...]struct {
		name   string
		column []float64
	}{{`,"labels":`, p.Labels}, {`,"sd":`, p.SD}, {`,"fails":`, p.Fails}} {
		if len(told.column) > i && !math.IsNaN(told.column[i]) {
			dst = append(dst, told.name...)
			dst = appendFloat(dst, told.column[i], 64)
		}
	}
	return append(dst, '}')
}

func appendID(dst []byte, id ID) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, b := range id {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return append(dst, '"')
}

// appendFloat writes the shortest text that reads back as x, in the forms of
// encoding/json; null when x is not finite.
func appendFloat(dst []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if size := math.Abs(x); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, x, format, -1, bits)
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r) // U+FFFD for text that is not UTF-8
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
