package finite

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"
)

type inner struct {
	A float64 `json:"a"`
	B string  `json:"b,omitempty"`
}

type bad struct{}

func (bad) MarshalJSON() ([]byte, error) { return nil, errors.New("cannot") }

type document struct {
	inner
	Named   inner              `json:"named"`
	Plain   float64            // without a tag
	Small   float32            `json:"small"`
	List    [][2]float64       `json:"list"`
	None    []int              `json:"none"`
	Bytes   []byte             `json:"bytes"`
	Map     map[string]float64 `json:"map"`
	Numbers map[int]any        `json:"numbers"`
	Pointer *float64           `json:"pointer"`
	Nil     *float64           `json:"nil"`
	Any     any                `json:"any"`
	Raw     json.RawMessage    `json:"raw"`
	Own     Float              `json:"own"`
	Bad     any                `json:"bad"`
	Left    float64            `json:"left,omitempty"`
	Out     string             `json:"-"`
	Time    time.Time          `json:"time"`
	hidden  float64
}

func sample(x float64, b any) document {
	return document{
		inner: inner{A: 1, B: "é<"}, Named: inner{A: 2}, Plain: 3, Small: .1, List: [][2]float64{{1, 2}, {x, 4}}, Bytes: []byte("ab"),
		Map: map[string]float64{"z": 1, "a": x, "k": 2}, Numbers: map[int]any{10: x, 9: "n"}, Pointer: &x, Any: []any{x, "t", nil},
		Raw: json.RawMessage(`{"r":1}`), Own: Float(x), Bad: b, Out: "no", Time: time.Unix(1, 0).UTC(), hidden: 1,
	}
}

// TestUndefinedIsNull holds that one number that JSON does not have, or one part
// that cannot be written, costs itself and nothing else.
func TestUndefinedIsNull(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		body, err := Marshal(sample(x, bad{}))
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"a":1,"b":"é\u003c","named":{"a":2},"Plain":3,"small":0.1,"list":[[1,2],[null,4]],"none":null,"bytes":"YWI=",` +
			`"map":{"a":null,"k":2,"z":1},"numbers":{"10":null,"9":"n"},"pointer":null,"nil":null,"any":[null,"t",null],"raw":{"r":1},"own":null,"bad":null,"time":"1970-01-01T00:00:01Z"}`
		if string(body) != want {
			t.Errorf("%v:\n%s, want\n%s", x, body, want)
		}
		if bare, err := Marshal(x); err != nil || string(bare) != "null" {
			t.Errorf("%v alone is %s, %v", x, bare, err)
		}
	}
}

// TestFiniteIsAsBefore holds that both ways of writing give the same bytes.
func TestFiniteIsAsBefore(t *testing.T) {
	d := sample(1e-9, "good")
	want, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Marshal(d)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s, %v, want\n%s", got, err, want)
	}
	d.Bad = bad{}
	if got, err = Marshal(d); err != nil {
		t.Fatal(err)
	}
	d.Bad = nil
	if want, err = json.Marshal(d); err != nil || string(got) != string(want) {
		t.Errorf("%s, %v, want\n%s", got, err, want)
	}
}

func TestNeverJSON(t *testing.T) {
	type ring struct {
		Next *ring
		X    float64
	}
	r := &ring{X: math.NaN()}
	r.Next = r
	for _, v := range []any{make(chan int), []any{math.NaN(), make(chan int)}, r} {
		if body, err := Marshal(v); err == nil {
			t.Errorf("%T gave %s", v, body)
		}
	}
}

// TestAsNull: bare numbers that JSON does not have become null, strings that hold
// their names stay, and text without one is returned itself.
func TestAsNull(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": NaN, "b":Infinity,"c":[-Infinity,NaN , 1]}`: `{"a": null, "b":null,"c":[null,null , 1]}`,
		`{"id":"a:NaN","b":NaN}`:                           `{"id":"a:NaN","b":null}`,
		`{"id":"\\","b":NaN,"c":"\":NaN"}`:                 `{"id":"\\","b":null,"c":"\":NaN"}`,
		`NaN`:                                              `null`,
	} {
		if got := string(AsNull([]byte(text))); got != want {
			t.Errorf("%s gives\n%s, want\n%s", text, got, want)
		}
	}
	for _, text := range [][]byte{[]byte(`{"a":1}`), []byte(`{"a":"NaN"}`)} {
		if got := AsNull(text); &got[0] != &text[0] {
			t.Errorf("%s is copied", text)
		}
	}
}

func TestFloatBothWays(t *testing.T) {
	var f Float
	if err := json.Unmarshal([]byte("null"), &f); err != nil || !math.IsNaN(float64(f)) {
		t.Errorf("null is %v, %v", f, err)
	}
	if err := json.Unmarshal([]byte("1.5"), &f); err != nil || f != 1.5 {
		t.Errorf("1.5 is %v, %v", f, err)
	}
}
