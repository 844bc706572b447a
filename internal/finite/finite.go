// Package finite writes and reads JSON in which a number that is not finite is null.
//
// JSON has no NaN and no infinity, and encoding/json refuses a whole document for
// one of them. Scores of too few pairs, divisions by nothing and overflowing
// models make such numbers, so whatever shows them to people or programs is
// written here.
package finite

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Float is a number that JSON shows as null where it is undefined, in both
// directions.
type Float float64

// MarshalJSON writes the number, null where it is not finite.
func (f Float) MarshalJSON() ([]byte, error) {
	if !Is(float64(f)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads what MarshalJSON wrote; null is NaN.
func (f *Float) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(f))
}

// Is says whether x is neither NaN nor infinite.
func Is(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Marshal is json.Marshal, but that a number that is not finite becomes null, and
// so does a value whose own MarshalJSON fails: one bad field costs that field.
// It fails for what JSON never has, such as a channel or a cycle.
func Marshal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err == nil {
		return body, nil
	}
	var number *json.UnsupportedValueError
	var own *json.MarshalerError
	if !errors.As(err, &number) && !errors.As(err, &own) {
		return nil, err
	}
	return write(nil, reflect.ValueOf(v), 0)
}

// Encode writes v and the end of a line, as json.Encoder does.
func Encode(w io.Writer, v any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(body, '\n'))
	return err
}

// deepest bounds how far a document goes, so that a cycle ends as an error.
const deepest = 200

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// write appends v part by part, in the order of encoding/json.
func write(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth > deepest {
		return nil, fmt.Errorf("JSON of more than %d levels", deepest)
	}
	if !v.IsValid() {
		return append(dst, "null"...), nil
	}
	if t := v.Type(); t.Implements(marshaler) || t.Implements(textMarshaler) {
		body, err := json.Marshal(v.Interface())
		if err != nil {
			body = []byte("null")
		}
		return append(dst, body...), nil
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if !Is(v.Float()) {
			return append(dst, "null"...), nil
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		return write(dst, v.Elem(), depth+1)
	case reflect.Struct:
		dst, _, err := writeFields(append(dst, '{'), v, depth, true)
		return append(dst, '}'), err
	case reflect.Map:
		return writeMap(dst, v, depth)
	case reflect.Slice:
		// Bytes are written in base64, nil as null.
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		return writeList(dst, v, depth)
	case reflect.Array:
		return writeList(dst, v, depth)
	}
	body, err := json.Marshal(v.Interface())
	return append(dst, body...), err
}

func writeList(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = write(dst, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// writeMap appends a map with its keys in order, as encoding/json writes them.
func writeMap(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	type member struct{ name, value []byte }
	var members []member
	for it := v.MapRange(); it.Next(); {
		// A map of this key alone lets encoding/json say the key as text.
		one := reflect.MakeMap(reflect.MapOf(v.Type().Key(), reflect.TypeFor[int]()))
		one.SetMapIndex(it.Key(), reflect.ValueOf(0))
		name, err := json.Marshal(one.Interface())
		if err != nil {
			return nil, err
		}
		value, err := write(nil, it.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		members = append(members, member{bytes.TrimSuffix(name[1:], []byte("0}")), value})
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, m.name...), m.value...)
	}
	return append(dst, '}'), nil
}

// writeFields appends the fields of a struct, those of embedded structs among
// them, with the names and options of their tags. first says that none is before.
func writeFields(dst []byte, v reflect.Value, depth int, first bool) ([]byte, bool, error) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if field.Anonymous && name == "" && value.Kind() == reflect.Struct && !field.Type.Implements(marshaler) {
			var err error
			if dst, first, err = writeFields(dst, value, depth+1, first); err != nil {
				return nil, first, err
			}
			continue
		}
		if !field.IsExported() || strings.Contains(options, "omitempty") && empty(value) || strings.Contains(options, "omitzero") && value.IsZero() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, first, err
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if dst, err = write(append(append(dst, quoted...), ':'), value, depth+1); err != nil {
			return nil, first, err
		}
	}
	return dst, first, nil
}

// empty reports whether omitempty leaves out v.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
