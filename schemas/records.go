package schemas

import (
	"bytes"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// This file alone defines the Arrow records between stages. A record gains columns as it
// passes: Messages leave the source, Candidates leave decode, and each later stage
// appends columns.
//
//	source    -> Messages
//	decode    -> Candidates
//	surrogate -> Candidates + Surrogates
//	predict   -> Candidates + Surrogates + Predictions

var (
	symbolType  = arrow.PrimitiveTypes.Int32
	idType      = &arrow.FixedSizeBinaryType{ByteWidth: 16}
	symbolsType = arrow.ListOf(symbolType)
	int32sType  = arrow.ListOf(arrow.PrimitiveTypes.Int32)
	floatsType  = arrow.ListOf(arrow.PrimitiveTypes.Float32)
	doublesType = arrow.ListOf(arrow.PrimitiveTypes.Float64)
	textsType   = arrow.ListOf(arrow.BinaryTypes.Binary)

	attributesType = arrow.ListOf(&arrow.FixedSizeBinaryType{ByteWidth: attributeBytes})
)

var messageFields = []arrow.Field{
	{Name: "offset", Type: arrow.PrimitiveTypes.Int64},
	{Name: "time", Type: arrow.PrimitiveTypes.Int64}, // milliseconds since 1970, Kafka's
	{Name: "key", Type: arrow.BinaryTypes.Binary},
	{Name: "header_names", Type: textsType},
	{Name: "header_values", Type: textsType},
}

var (
	// MessagesSchema is the schema of the source.
	MessagesSchema = arrow.NewSchema(append(messageFields[:len(messageFields):len(messageFields)],
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary}), nil)

	// CandidatesSchema is the schema of decode.
	CandidatesSchema = arrow.NewSchema(append(messageFields[:len(messageFields):len(messageFields)],
		arrow.Field{Name: "id", Type: arrow.BinaryTypes.Binary}, // JSON text as given, empty when absent
		arrow.Field{Name: "space", Type: symbolType},
		arrow.Field{Name: "arch", Type: arrow.BinaryTypes.Binary}, // the space's notation, empty when absent
		arrow.Field{Name: "architecture", Type: idType},
		arrow.Field{Name: "network", Type: idType},
		arrow.Field{Name: "ops", Type: symbolsType},
		arrow.Field{Name: "edges", Type: int32sType},
		arrow.Field{Name: "network_ops", Type: symbolsType},
		arrow.Field{Name: "network_edges", Type: int32sType},
		arrow.Field{Name: "proxy_names", Type: symbolsType},
		arrow.Field{Name: "proxy_values", Type: doublesType},
		arrow.Field{Name: "meta", Type: arrow.BinaryTypes.Binary}, // JSON text, empty when absent
		arrow.Field{Name: "attributes", Type: attributesType},
		arrow.Field{Name: "network_attributes", Type: attributesType},
		arrow.Field{Name: "names", Type: textsType}, // of symbols below NoSymbol, a row's own
	), nil)

	surrogatesSchema = extended(CandidatesSchema, arrow.Field{Name: "surrogate", Type: floatsType})

	predictionsSchema = extended(surrogatesSchema,
		arrow.Field{Name: "model", Type: symbolType},
		arrow.Field{Name: "predicted_time", Type: arrow.PrimitiveTypes.Int64}, // microseconds since 1970
		arrow.Field{Name: "task", Type: symbolsType},
		arrow.Field{Name: "score", Type: doublesType},
		arrow.Field{Name: "value", Type: doublesType},
		arrow.Field{Name: "low", Type: doublesType},
		arrow.Field{Name: "high", Type: doublesType},
		arrow.Field{Name: "percentile", Type: doublesType},
		arrow.Field{Name: "top", Type: doublesType},
		arrow.Field{Name: "labels", Type: doublesType},
		arrow.Field{Name: "sd", Type: doublesType},
		arrow.Field{Name: "fails", Type: doublesType},
		arrow.Field{Name: "reason", Type: symbolType},
		arrow.Field{Name: "embedding", Type: floatsType},
		arrow.Field{Name: "unknown", Type: textsType},
	)
)

func extended(s *arrow.Schema, more ...arrow.Field) *arrow.Schema {
	return arrow.NewSchema(append(s.Fields(), more...), nil)
}

// Column numbers, in the order of the schemas above.
const (
	colOffset = iota
	colTime
	colKey
	colHeaderNames
	colHeaderValues
	colValue // of Messages; the same place holds colID in Candidates
	colSpace
	colArch
	colArchitecture
	colNetwork
	colOps
	colEdges
	colNetworkOps
	colNetworkEdges
	colProxyNames
	colProxyValues
	colMeta
	colAttributes
	colNetworkAttributes
	colNames
	colSurrogate
	colModel
	colPredictedTime
	colTask
	colScore
	colTaskValue
	colLow
	colHigh
	colPercentile
	colTop
	colLabels
	colSD
	colFails
	colReason
	colEmbedding
	colUnknown

	colID = colValue
)

// Envelope holds the fields of a Kafka record beside its value; it travels with the row.
type Envelope struct {
	Offset       []int64
	Time         []int64 // milliseconds since 1970
	Key          Strings
	HeaderStart  []int32 // [n+1], into HeaderNames and HeaderValues
	HeaderNames  Strings
	HeaderValues Strings
	HeaderNull   []int32 // which of HeaderValues are none rather than empty, ascending
}

// Len returns the number of rows.
func (e *Envelope) Len() int { return len(e.Offset) }

// Header is one name and value of a message.
type Header struct {
	Name  string
	Value []byte // nil: the header has none
}

// HeaderValue returns a view of the value of header h of all rows, nil when it
// has none.
func (e *Envelope) HeaderValue(h int) []byte {
	if len(e.HeaderNull) > 0 {
		if _, none := slices.BinarySearch(e.HeaderNull, int32(h)); none {
			return nil
		}
	}
	if v := e.HeaderValues.At(h); v != nil {
		return v
	}
	return []byte{} // a column of nothing but empty texts has no bytes to point into
}

// AppendHeader adds a header to the row whose end in HeaderStart is still to
// come. It copies both; a value of nil is none.
func (e *Envelope) AppendHeader(name, value []byte) {
	if value == nil {
		e.HeaderNull = append(e.HeaderNull, int32(e.HeaderNames.Len()))
	}
	e.HeaderNames.Append(name)
	e.HeaderValues.Append(value)
}

// CutHeaders removes the headers from the n-th of all rows on.
func (e *Envelope) CutHeaders(n int) {
	e.HeaderNames.cut(n)
	e.HeaderValues.cut(n)
	first, _ := slices.BinarySearch(e.HeaderNull, int32(n))
	e.HeaderNull = e.HeaderNull[:first]
}

// Header returns the value of row i's last header of that name, nil without.
func (e *Envelope) Header(i int, name string) []byte {
	for h := e.HeaderStart[i+1] - 1; h >= e.HeaderStart[i]; h-- {
		if string(e.HeaderNames.At(int(h))) == name {
			return e.HeaderValue(int(h))
		}
	}
	return nil
}

// Headers returns a copy of row i's headers.
func (e *Envelope) Headers(i int) []Header {
	var out []Header
	for h := e.HeaderStart[i]; h < e.HeaderStart[i+1]; h++ {
		out = append(out, Header{string(e.HeaderNames.At(int(h))), bytes.Clone(e.HeaderValue(int(h)))})
	}
	return out
}

// Append adds a row, copying everything.
func (e *Envelope) Append(offset, time int64, key []byte, headers []Header) {
	if len(e.HeaderStart) == 0 {
		e.HeaderStart = append(e.HeaderStart, 0)
	}
	e.Offset = append(e.Offset, offset)
	e.Time = append(e.Time, time)
	e.Key.Append(key)
	for _, h := range headers {
		e.AppendHeader([]byte(h.Name), h.Value)
	}
	e.HeaderStart = append(e.HeaderStart, int32(e.HeaderNames.Len()))
}

// AppendFrom adds row i of src.
func (e *Envelope) AppendFrom(src *Envelope, i int) {
	if len(e.HeaderStart) == 0 {
		e.HeaderStart = append(e.HeaderStart, 0)
	}
	e.Offset = append(e.Offset, src.Offset[i])
	e.Time = append(e.Time, src.Time[i])
	e.Key.Append(src.Key.At(i))
	for h := src.HeaderStart[i]; h < src.HeaderStart[i+1]; h++ {
		e.AppendHeader(src.HeaderNames.At(int(h)), src.HeaderValue(int(h)))
	}
	e.HeaderStart = append(e.HeaderStart, int32(e.HeaderNames.Len()))
}

func (e *Envelope) columns() columns {
	c := columns{rows: e.Len()}
	c.add(fixedData(arrow.PrimitiveTypes.Int64, e.Offset))
	c.add(fixedData(arrow.PrimitiveTypes.Int64, e.Time))
	c.add(stringsData(arrow.BinaryTypes.Binary, e.Key))
	names, values := stringsData(arrow.BinaryTypes.Binary, e.HeaderNames), nullableData(e.HeaderValues, e.HeaderNull)
	c.add(listData(textsType, e.HeaderStart, names))
	c.add(listData(textsType, e.HeaderStart, values))
	names.Release()
	values.Release()
	return c
}

func viewEnvelope(r arrow.Record) Envelope {
	names, values := r.Column(colHeaderNames).Data(), r.Column(colHeaderValues).Data().Children()[0]
	return Envelope{
		Offset:       viewFixed[int64](r.Column(colOffset).Data()),
		Time:         viewFixed[int64](r.Column(colTime).Data()),
		Key:          viewStrings(r.Column(colKey).Data()),
		HeaderStart:  viewStarts(names),
		HeaderNames:  viewStrings(names.Children()[0]),
		HeaderValues: viewStrings(values),
		HeaderNull:   viewNulls(values),
	}
}

// Messages are rows as they came from Kafka.
type Messages struct {
	Envelope
	Value Strings
	Null  []int64 // offsets of those without a value, which the record has as empty
}

// Record wraps m as Arrow; m must not be changed afterwards.
func (m *Messages) Record() arrow.Record {
	c := m.columns()
	c.add(stringsData(arrow.BinaryTypes.Binary, m.Value))
	return c.record(MessagesSchema)
}

// ViewMessages returns the rows of r without copying; valid while r is retained.
func ViewMessages(r arrow.Record) Messages {
	return Messages{Envelope: viewEnvelope(r), Value: viewStrings(r.Column(colValue).Data())}
}

// Candidates are decoded architectures.
type Candidates struct {
	Envelope
	ID           Strings // JSON text as given, empty when absent
	Space        []Symbol
	Arch         Strings // the space's notation, empty when absent
	Architecture []ID    // of Graphs
	Network      []ID    // of Networks
	Graphs       Graphs  // as given, nodes in topological order
	Networks     Graphs  // without nodes and edges on no path from input to output
	ProxyStart   []int32 // [n+1], into ProxyName and ProxyValue
	ProxyName    []Symbol
	ProxyValue   []float64
	Meta         Strings // JSON text, empty when absent
}

// Record wraps c as Arrow; c must not be changed afterwards.
func (c *Candidates) Record() arrow.Record {
	cols := c.columns()
	cols.add(stringsData(arrow.BinaryTypes.Binary, c.ID))
	cols.add(fixedData(symbolType, c.Space))
	cols.add(stringsData(arrow.BinaryTypes.Binary, c.Arch))
	cols.add(fixedData(idType, c.Architecture))
	cols.add(fixedData(idType, c.Network))
	for _, g := range []*Graphs{&c.Graphs, &c.Networks} {
		cols.addList(symbolsType, g.NodeStart, fixedData(symbolType, g.Ops))
		cols.addList(int32sType, g.EdgeStart, fixedData(arrow.PrimitiveTypes.Int32, g.Edges))
	}
	cols.addList(symbolsType, c.ProxyStart, fixedData(symbolType, c.ProxyName))
	cols.addList(doublesType, c.ProxyStart, fixedData(arrow.PrimitiveTypes.Float64, c.ProxyValue))
	cols.add(stringsData(arrow.BinaryTypes.Binary, c.Meta))
	for _, g := range []*Graphs{&c.Graphs, &c.Networks} {
		cols.addList(attributesType, cols.starts(g.AttributeStart), fixedData(attributesType.Elem(), g.Attributes))
	}
	cols.addList(textsType, cols.starts(c.Graphs.NameStart), stringsData(arrow.BinaryTypes.Binary, c.Graphs.Names))
	return cols.record(CandidatesSchema)
}

// starts returns the offsets of a list column, those of a column of empty lists
// when no row has any.
func (c *columns) starts(start []int32) []int32 {
	switch {
	case len(start) > 0:
		return start
	case c.rows < len(noElements):
		return noElements[:c.rows+1]
	}
	return make([]int32, c.rows+1)
}

// noElements are the offsets of empty lists. Nothing may write to it.
var noElements [1 << 14]int32

func (c *columns) addList(typ arrow.DataType, start []int32, child *array.Data) {
	c.add(listData(typ, start, child))
	child.Release()
}

// ViewCandidates returns the rows of r, a record of decode or a later stage,
// without copying; valid while r is retained.
func ViewCandidates(r arrow.Record) Candidates {
	data := func(i int) arrow.ArrayData { return r.Column(i).Data() }
	child := func(i int) arrow.ArrayData { return data(i).Children()[0] }
	c := Candidates{
		Envelope:     viewEnvelope(r),
		ID:           viewStrings(data(colID)),
		Space:        viewFixed[Symbol](data(colSpace)),
		Arch:         viewStrings(data(colArch)),
		Architecture: viewFixed[ID](data(colArchitecture)),
		Network:      viewFixed[ID](data(colNetwork)),
		Graphs:       viewGraphs(data(colOps), data(colEdges), data(colAttributes)),
		Networks:     viewGraphs(data(colNetworkOps), data(colNetworkEdges), data(colNetworkAttributes)),
		ProxyStart:   viewStarts(data(colProxyNames)),
		ProxyName:    viewFixed[Symbol](child(colProxyNames)),
		ProxyValue:   viewFixed[float64](child(colProxyValues)),
		Meta:         viewStrings(data(colMeta)),
	}
	if names := child(colNames); names.Len() > 0 {
		start, own := viewStarts(data(colNames)), viewStrings(names)
		c.Graphs.NameStart, c.Graphs.Names = start, own
		c.Networks.NameStart, c.Networks.Names = start, own
	}
	return c
}

func viewGraphs(ops, edges, attributes arrow.ArrayData) Graphs {
	g := Graphs{
		NodeStart: viewStarts(ops), Ops: viewFixed[Symbol](ops.Children()[0]),
		EdgeStart: viewStarts(edges), Edges: viewFixed[int32](edges.Children()[0]),
	}
	if of := attributes.Children()[0]; of.Len() > 0 {
		g.AttributeStart, g.Attributes = viewStarts(attributes), viewFixed[Attribute](of)
	}
	return g
}

// NameOf returns the name of a symbol of row i: of its space, an operation, a proxy, an
// attribute.
func (c *Candidates) NameOf(i int, s Symbol) string { return c.Graphs.Name(i, s) }

// Proxies calls f for every zero-cost proxy of row i.
func (c *Candidates) Proxies(i int, f func(name Symbol, value float64)) {
	for p := c.ProxyStart[i]; p < c.ProxyStart[i+1]; p++ {
		f(c.ProxyName[p], c.ProxyValue[p])
	}
}

// Surrogates are the flow surrogates of a record's architectures; the length
// is the space's.
type Surrogates struct {
	Start  []int32 // [n+1]
	Values []float32
}

// WithSurrogates returns a record with the columns of r, as decode emits them, and the
// surrogates. It retains the columns of r that it uses; the caller still owns r.
func WithSurrogates(r arrow.Record, s Surrogates) arrow.Record {
	var c columns
	c.addList(floatsType, s.Start, fixedData(arrow.PrimitiveTypes.Float32, s.Values))
	return extend(r, surrogatesSchema, c.arrays)
}

// ViewSurrogates returns the surrogates of r without copying.
func ViewSurrogates(r arrow.Record) Surrogates {
	d := r.Column(colSurrogate).Data()
	return Surrogates{viewStarts(d), viewFixed[float32](d.Children()[0])}
}

// Predictions answer a record's candidates. A task of a row that is not
// answered has NaN in Score, and the row a Reason.
type Predictions struct {
	Model          []Symbol // such as "nb201/17"; NoSymbol without a model
	Time           []int64  // microseconds since 1970
	TaskStart      []int32  // [n+1], into the seven columns below
	Task           []Symbol
	Score          []float64 // more is better, with any goal of the task
	Value          []float64 // in the unit of the task's labels
	Low, High      []float64 // 90 % interval of the value
	Percentile     []float64 // 0 to 100, among the model's networks
	Top            []float64 // 0 to 1, the probability of being among the best 1 % of that
	Labels         []float64 // how many the model has learnt of the task
	SD             []float64 // predictive standard deviation of the value
	Fails          []float64 // 0 to 1, the probability that a training fails
	Reason         []Symbol  // why a task is unanswered; NoSymbol otherwise
	EmbeddingStart []int32   // [n+1]
	Embedding      []float32 // empty unless asked for
	UnknownStart   []int32   // [n+1], into Unknown; nil when no row has any
	Unknown        Strings   // parts of a candidate that the model has not learnt
}

// WithPredictions returns a record with the columns of r, as WithSurrogates returns them,
// and the predictions. It retains the columns of r that it uses; the caller still owns r.
func WithPredictions(r arrow.Record, p Predictions) arrow.Record {
	var c columns
	c.add(fixedData(symbolType, p.Model))
	c.add(fixedData(arrow.PrimitiveTypes.Int64, p.Time))
	c.addList(symbolsType, p.TaskStart, fixedData(symbolType, p.Task))
	for _, v := range [][]float64{p.Score, p.Value, p.Low, p.High, p.Percentile, p.Top, p.reported(p.Labels), p.reported(p.SD), p.reported(p.Fails)} {
		c.addList(doublesType, p.TaskStart, fixedData(arrow.PrimitiveTypes.Float64, v))
	}
	c.add(fixedData(symbolType, p.Reason))
	c.addList(floatsType, p.EmbeddingStart, fixedData(arrow.PrimitiveTypes.Float32, p.Embedding))
	c.rows = len(p.Model)
	c.addList(textsType, c.starts(p.UnknownStart), stringsData(arrow.BinaryTypes.Binary, p.Unknown))
	return extend(r, predictionsSchema, c.arrays)
}

// reported returns a column that older models lack: NaN for every task where it is left
// out.
func (p *Predictions) reported(column []float64) []float64 {
	if len(column) == 0 && len(p.Task) > 0 {
		column = make([]float64, len(p.Task))
		for i := range column {
			column[i] = math.NaN()
		}
	}
	return column
}

// ViewPredictions returns the predictions of r without copying.
func ViewPredictions(r arrow.Record) Predictions {
	data := func(i int) arrow.ArrayData { return r.Column(i).Data() }
	doubles := func(i int) []float64 { return viewFixed[float64](data(i).Children()[0]) }
	return Predictions{
		Model:          viewFixed[Symbol](data(colModel)),
		Time:           viewFixed[int64](data(colPredictedTime)),
		TaskStart:      viewStarts(data(colTask)),
		Task:           viewFixed[Symbol](data(colTask).Children()[0]),
		Score:          doubles(colScore),
		Value:          doubles(colTaskValue),
		Low:            doubles(colLow),
		High:           doubles(colHigh),
		Percentile:     doubles(colPercentile),
		Top:            doubles(colTop),
		Labels:         doubles(colLabels),
		SD:             doubles(colSD),
		Fails:          doubles(colFails),
		Reason:         viewFixed[Symbol](data(colReason)),
		EmbeddingStart: viewStarts(data(colEmbedding)),
		Embedding:      viewFixed[float32](data(colEmbedding).Children()[0]),
		UnknownStart:   viewStarts(data(colUnknown)),
		Unknown:        viewStrings(data(colUnknown).Children()[0]),
	}
}

// extend returns a record of a schema with the columns of r and more, which it
// takes over.
func extend(r arrow.Record, schema *arrow.Schema, more []arrow.Array) arrow.Record {
	arrays := append(append(make([]arrow.Array, 0, schema.NumFields()), r.Columns()...), more...)
	rec := array.NewRecord(schema, arrays, r.NumRows())
	for _, a := range more {
		a.Release()
	}
	return rec
}

var noPredictions = func() arrow.Record {
	candidates := (&Candidates{}).Record()
	defer candidates.Release()
	surrogates := WithSurrogates(candidates, Surrogates{})
	defer surrogates.Release()
	return WithPredictions(surrogates, Predictions{})
}()

// NoPredictions returns a record of predictions without rows, for batches that
// have only rejections. The caller owns a reference to it.
func NoPredictions() arrow.Record {
	noPredictions.Retain()
	return noPredictions
}
