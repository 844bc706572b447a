package cli

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reset gives the field its default.
func (v *Value) reset() error {
	v.field.SetZero()
	if !v.hasDefault {
		return v.supported(v.field)
	}
	return v.set(v.initial)
}

// supported fails for a type that no text can be read into.
func (v *Value) supported(field reflect.Value) error {
	if v.isList() && field == v.field {
		field = reflect.New(field.Type().Elem()).Elem()
	}
	if _, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return nil
	}
	switch kind := field.Kind(); {
	case kind == reflect.Bool, kind == reflect.String, field.CanInt(), field.CanUint(), field.CanFloat():
		return nil
	}
	return fmt.Errorf("no text is read into a %s", field.Type())
}

// set reads text into the field; a list grows by the elements that text holds.
func (v *Value) set(text string) error {
	if !v.isList() {
		return v.read(v.field, text)
	}
	return v.add(elements(text))
}

// add appends to a list.
func (v *Value) add(texts []string) error {
	list := v.field
	for _, text := range texts {
		element := reflect.New(list.Type().Elem()).Elem()
		if err := v.read(element, text); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.field.Set(list)
	return nil
}

// elements splits text at commas; a backslash takes a comma into an element, and a
// comma at the end adds none.
func elements(text string) (list []string) {
	if text == "" {
		return nil
	}
	element := ""
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == ',':
			i++
			element += ","
		case text[i] == ',':
			list, element = append(list, element), ""
		default:
			element += text[i : i+1]
		}
	}
	if element != "" {
		list = append(list, element)
	}
	return list
}

func (v *Value) read(field reflect.Value, text string) error {
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return v.wrong(u.UnmarshalText([]byte(text)))
	}
	bits := func() int { return field.Type().Bits() }
	switch {
	case field.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return v.wrong(fmt.Errorf("expected duration but got %q: %w", text, err))
		}
		field.SetInt(int64(d))
	case field.Kind() == reflect.Bool:
		on, err := readSwitch(text)
		if err != nil {
			return v.wrong(err)
		}
		field.SetBool(on)
	case field.Kind() == reflect.String:
		field.SetString(text)
	case field.CanInt():
		n, err := strconv.ParseInt(text, 0, bits())
		if err != nil {
			return v.wrong(fmt.Errorf("expected a valid %d bit int but got %q", bits(), text))
		}
		field.SetInt(n)
	case field.CanUint():
		n, err := strconv.ParseUint(text, 0, bits())
		if err != nil {
			return v.wrong(fmt.Errorf("expected a valid %d bit uint but got %q", bits(), text))
		}
		field.SetUint(n)
	case field.CanFloat():
		x, err := strconv.ParseFloat(text, bits())
		if err != nil {
			return v.wrong(fmt.Errorf("expected a float but got %q", text))
		}
		field.SetFloat(x)
	default:
		return v.supported(field)
	}
	return nil
}

func readSwitch(text string) (bool, error) {
	text = strings.ToLower(text)
	switch text {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("bool value must be true, 1, yes, false, 0 or no but got %q", text)
}

// wrong names the value in an error.
func (v *Value) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", v, err)
}

// check fails when the value, or an element of it, is none of those that are
// accepted.
func (v *Value) check() error {
	if v.enum == nil || v.Arg && v.field.IsZero() {
		return nil
	}
	values := []reflect.Value{v.field}
	if v.isList() {
		values = nil
		for i := range v.field.Len() {
			values = append(values, v.field.Index(i))
		}
	}
	for _, value := range values {
		if text := fmt.Sprint(value.Interface()); !slices.Contains(v.enum, text) {
			quoted := make([]string, len(v.enum))
			for i, e := range v.enum {
				quoted[i] = strconv.Quote(e)
			}
			return fmt.Errorf("%s must be one of %s but got %q", v, strings.Join(quoted, ","), text)
		}
	}
	return nil
}

// kind is the name of a value's type in messages.
func (v *Value) kind() string {
	field := v.field.Type()
	if v.isList() {
		field = field.Elem()
	}
	switch zero := reflect.New(field).Elem(); {
	case field == durationType:
		return "duration"
	case zero.Kind() == reflect.String:
		return "string"
	case zero.CanInt():
		return "int"
	case zero.CanUint():
		return "uint"
	case zero.CanFloat():
		return "float"
	}
	return "a"
}
