package schemas

import (
	"fmt"
	"slices"
	"testing"
)

// TestHeaders: headers pass a record and a copy with values that are none,
// empty and neither kept apart.
func TestHeaders(t *testing.T) {
	values := [][]byte{[]byte("a"), nil, {}}
	const rows = 23
	var m Messages
	want := make([][]Header, rows)
	for i := range want {
		for h := range i % 5 {
			want[i] = append(want[i], Header{fmt.Sprint("name ", h), values[(i*i+h)%3]})
		}
		m.Append(int64(i), 0, nil, want[i])
		m.Value.Append(nil)
	}
	r := m.Record()
	defer r.Release()
	viewed := ViewMessages(r)
	var copied Envelope
	for i := range rows {
		copied.AppendFrom(&viewed.Envelope, i)
	}
	compare := func(what string, e *Envelope, rows int) {
		t.Helper()
		for i := range rows {
			got := e.Headers(i)
			same := slices.EqualFunc(got, want[i], func(a, b Header) bool {
				return a.Name == b.Name && string(a.Value) == string(b.Value) && (a.Value == nil) == (b.Value == nil)
			})
			if !same {
				t.Errorf("%s, row %d: %#v, want %#v", what, i, got, want[i])
			}
		}
	}
	compare("as added", &m.Envelope, rows)
	compare("viewed", &viewed.Envelope, rows)
	compare("copied", &copied, rows)

	for n := copied.HeaderNames.Len(); n >= 0; n-- {
		copied.CutHeaders(n)
		if copied.HeaderNames.Len() != n || copied.HeaderValues.Len() != n || len(copied.HeaderNull) > 0 && int(slices.Max(copied.HeaderNull)) >= n {
			t.Fatalf("cut to %d: %d names, %d values, null %v", n, copied.HeaderNames.Len(), copied.HeaderValues.Len(), copied.HeaderNull)
		}
		whole := 0
		for whole < rows && int(copied.HeaderStart[whole+1]) <= n {
			whole++
		}
		compare(fmt.Sprint("cut to ", n), &copied, whole)
	}
}

// TestNoHeaders: columns without a null have no bitmap of them.
func TestNoHeaders(t *testing.T) {
	var m Messages
	m.Append(0, 0, nil, []Header{{"a", []byte{}}})
	m.Value.Append(nil)
	r := m.Record()
	defer r.Release()
	if values := r.Column(colHeaderValues).Data().Children()[0]; values.NullN() != 0 || values.Buffers()[0] != nil {
		t.Errorf("%d nulls", values.NullN())
	}
	if e := ViewMessages(r); e.HeaderNull != nil || e.HeaderValue(0) == nil {
		t.Errorf("null headers %v, value %v", e.HeaderNull, e.HeaderValue(0))
	}
}
