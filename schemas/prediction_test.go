package schemas

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compileSchemas returns the three schemas, ready to validate.
func compileSchemas(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	names := []string{"candidate", "label", "prediction"}
	for _, name := range names {
		text, err := JSONSchema(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("urn:archflow:"+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range names {
		s, err := c.Compile("urn:archflow:" + name)
		if err != nil {
			t.Fatal(err)
		}
		schemas[name] = s
	}
	return schemas
}

func validate(s *jsonschema.Schema, value string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSchemasAgreeWithDecoder(t *testing.T) {
	schemas := compileSchemas(t)
	for name, examples := range map[string][]example{"candidate": candidateExamples(), "label": labelExamples()} {
		for _, e := range examples {
			if e.onlyDecoder {
				continue
			}
			err := validate(schemas[name], e.value)
			if (err == nil) != (e.class == "") {
				t.Errorf("%s %q: the decoder says %q, the schema says %v", name, e.name, e.class, err)
			}
		}
	}
	if _, err := JSONSchema("model"); err == nil {
		t.Error("found a schema that does not exist")
	}
}

// predicted decodes values, takes them through a record and back, and answers.
func predicted(t *testing.T, values ...string) (Candidates, Predictions) {
	t.Helper()
	d := NewDecoder(Limits{})
	var c Candidates
	for i, value := range values {
		if r := d.Candidate(&c, []byte(value)); r != nil {
			t.Fatal(r)
		}
		c.Append(int64(100+i), 1700000000000, []byte("key"), []Header{{"traceparent", []byte("00-1-2-00")}})
	}
	want := c
	r := c.Record()
	t.Cleanup(r.Release)
	view := ViewCandidates(r)
	if !reflect.DeepEqual(namesOfAll(view), namesOfAll(want)) || !reflect.DeepEqual(shape(&view), shape(&want)) {
		t.Fatal("a record does not return its input")
	}
	for i := range values {
		g, e := view.Graphs.Graph(i)
		h, f := want.Graphs.Graph(i)
		if !reflect.DeepEqual(g, h) || !reflect.DeepEqual(e, f) || view.Architecture[i] != want.Architecture[i] || view.Network[i] != want.Network[i] ||
			!bytes.Equal(view.ID.At(i), want.ID.At(i)) || !bytes.Equal(view.Meta.At(i), want.Meta.At(i)) || !bytes.Equal(view.Arch.At(i), want.Arch.At(i)) ||
			view.Offset[i] != int64(100+i) || string(view.Header(i, "traceparent")) != "00-1-2-00" {
			t.Fatalf("row %d of a record differs from its input", i)
		}
	}
	p := Predictions{TaskStart: []int32{0}, EmbeddingStart: []int32{0}}
	first, second := MustIntern("test \"accuracy\"\n"), MustIntern("loss")
	for i := range values {
		p.Model = append(p.Model, []Symbol{MustIntern("dag/17"), NoSymbol}[i%2])
		p.Time = append(p.Time, 5)
		p.Task = append(p.Task, first, second)
		nan := math.NaN()
		p.Score, p.Value = append(p.Score, 0.1, nan), append(p.Value, 93.1, nan)
		p.Low, p.High = append(p.Low, 1e-7, nan), append(p.High, math.Inf(1), nan)
		p.Percentile, p.Top = append(p.Percentile, 99.5, nan), append(p.Top, []float64{0.25, nan}[i%2], nan)
		p.Labels, p.SD, p.Fails = append(p.Labels, []float64{40, nan}[i%2], nan), append(p.SD, []float64{0.5, nan}[i%2], nan), append(p.Fails, []float64{0.125, nan}[i%2], nan)
		p.TaskStart = append(p.TaskStart, int32(len(p.Task)))
		p.Reason = append(p.Reason, MustIntern("task loss has 3 labels, 16 are needed"))
		p.EmbeddingStart = append(p.EmbeddingStart, 0)
	}
	p.UnknownStart = append(append(p.UnknownStart, 0), 2)
	for range values[1:] {
		p.UnknownStart = append(p.UnknownStart, 2)
	}
	p.Unknown.Append([]byte("operation \"x\""))
	p.Unknown.Append([]byte("attribute width = 3"))
	return view, p
}

func namesOfAll(c Candidates) [][]string {
	return [][]string{namesOf(c.Space), namesOf(c.Graphs.Ops), namesOf(c.Networks.Ops), namesOf(c.ProxyName)}
}

func TestPrediction(t *testing.T) {
	schema := compileSchemas(t)["prediction"]
	c, p := predicted(t,
		`{"space":"dag","id":{"run": 3},"proxies":{"synflow":1.5e300,"é":-0.25},`+chain+`,"meta":{"a":[1]}}`,
		`{"space":"dag",`+chain+`}`)
	s := Surrogates{Start: []int32{0, 2, 2}, Values: []float32{0.1, -3e-9}}
	from := TopicPartition{"archflow.architectures", 3}

	text := AppendPrediction(nil, &c, &s, &p, 0, from)
	if err := validate(schema, string(text)); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	got, err := ParsePrediction(text)
	if err != nil {
		t.Fatal(err)
	}
	model, value, low, percentile, top := "dag/17", 93.1, 1e-7, 99.5, 0.25
	labels, sd, fails := int64(40), 0.5, 0.125
	want := Prediction{
		Unknown: []string{"operation \"x\"", "attribute width = 3"},
		ID:      json.RawMessage(`{"run":3}`), Architecture: "c75fa76a8d66d778cbe0680fea4e790a", Network: "c75fa76a8d66d778cbe0680fea4e790a",
		Space: "dag", Model: &model, Reason: "task loss has 3 labels, 16 are needed",
		Tasks: map[string]*TaskPrediction{
			"test \"accuracy\"\n": {Score: 0.1, Value: &value, Low: &low, Percentile: &percentile, Top: &top, Labels: &labels, SD: &sd, Fails: &fails},
			"loss":                nil,
		},
		Source:    Source{"archflow.architectures", 3, 100},
		Proxies:   map[string]float64{"synflow": 1.5e300, "é": -0.25},
		Surrogate: []float32{0.1, -3e-9},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n\tgot  %+v\n\twant %+v", text, got, want)
	}

	text = AppendPrediction(nil, &c, nil, &p, 1, from)
	if err := validate(schema, string(text)); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	for _, part := range []string{`"id":null`, `"model":null`, `"loss":null`, `"offset":101`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s has no %s", text, part)
		}
	}
	for _, part := range []string{"proxies", "surrogate", `"top":`, `"labels":`, `"sd":`, `"fails":`} {
		if strings.Contains(string(text), part) {
			t.Errorf("%s has %s", text, part)
		}
	}
	if _, err := ParsePrediction([]byte(`{`)); err == nil {
		t.Error("read half a prediction")
	}

	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = AppendPrediction(dst[:0], &c, &s, &p, 0, from) }); n != 0 {
		t.Errorf("%v allocations a prediction", n)
	}
}

func TestAppendFloat(t *testing.T) {
	for _, x := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.9e-7, 1e20, 1e21, math.MaxFloat64, 5e-324, 0.1, 93.1} {
		text := appendFloat(nil, x, 64)
		var back float64
		if err := json.Unmarshal(text, &back); err != nil || math.Float64bits(back) != math.Float64bits(x) {
			t.Errorf("%v written as %s, read as %v, %v", x, text, back, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\/\b\n\x00\x1f\x7f", "é€😀\u2028", "cut \xe2\x82"} {
		text := appendString(nil, s)
		var back string
		if err := json.Unmarshal(text, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd\ufffd") && back != s {
			t.Errorf("%q written as %s, read as %q, %v", s, text, back, err)
		}
	}
}
