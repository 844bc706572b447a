package schemas

import "bytes"

// This file reads operations with their attributes, and hyperparameters.

// attributeOf is the owner of an attribute.
type attributeOf uint8

const (
	ofNode   attributeOf = iota // an element of ops
	ofReduce                    // of ops_reduce
	ofEdge                      // of edge_ops
	ofThird                     // the third of an element of edges
	ofWhole                     // hyperparameters
)

// rawAttribute is an attribute as it was read; bytes are views of the message.
type rawAttribute struct {
	of     attributeOf
	at     int32 // number of the node or edge
	kind   Kind
	name   []byte
	list   []byte // the hyperparameter that it is an element of
	text   []byte
	number float64
}

// namesField reads a list of operations.
func (d *Decoder) namesField(name string, of attributeOf, dst [][]byte) (names [][]byte, given, ok bool) {
	if d.null() {
		return dst, false, true
	}
	if d.peek() != '[' {
		return dst, false, d.wrongType(name, "a list of names of operations")
	}
	d.pos++
	limit, what := d.limits.Nodes, "nodes"
	if of == ofEdge {
		limit, what = d.limits.Edges, "edges"
	}
	for first := true; d.more(']', first); first = false {
		if len(dst) == limit {
			return dst, false, d.tooMany(what, name, limit)
		}
		if d.peek() == '"' { // nearly always
			at := d.pos
			op, ok := d.str()
			if !ok {
				return dst, false, false
			}
			if len(op) > 0 && len(op) <= d.limits.OpBytes {
				dst = append(dst, op)
				continue
			}
			d.pos = at
		}
		op, ok := d.operationValue(name, of, len(dst))
		if !ok {
			return dst, false, false
		}
		dst = append(dst, op)
	}
	return dst, true, d.failed == nil
}

// operationValue reads an operation: a name, or an object of a name and
// attributes.
func (d *Decoder) operationValue(field string, of attributeOf, number int) (op []byte, ok bool) {
	at := d.pos
	switch d.peek() {
	case '"':
		op, ok = d.str()
	case '{':
		op, ok = d.operationObject(field, of, number)
	default:
		const want = `names of operations in quotes, or objects such as {"op": "conv", "kernel": 3}`
		if c := d.peek(); c == '-' || isDigit(c) {
			return nil, d.wrongType(field, want+" (a number that stands for an operation is a name too: quote it)")
		}
		return nil, d.wrongType(field, want)
	}
	if ok && (len(op) == 0 || len(op) > d.limits.OpBytes) {
		return nil, d.fail(ClassValue, "field %q at byte %d: the name of an operation has %d bytes; give it 1 to %d", field, at, len(op), d.limits.OpBytes)
	}
	return op, ok
}

func (d *Decoder) operationObject(field string, of attributeOf, number int) (op []byte, ok bool) {
	at := d.pos
	d.pos++
	x := d.extra()
	begin := len(x.attributes)
	for first := true; d.more('}', first); first = false {
		name, ok := d.key()
		if !ok {
			return nil, false
		}
		if string(name) == "op" {
			if d.peek() != '"' {
				return nil, d.wrongType(field+".op", "the name of an operation in quotes")
			}
			if op, ok = d.str(); !ok {
				return nil, false
			}
			continue
		}
		x.forget(begin, name)
		if d.null() {
			continue
		}
		if len(x.attributes)-begin == d.limits.Attributes {
			return nil, d.fail(ClassTooLarge, "field %q: operation %d has more than %d attributes; leave some out", field, number, d.limits.Attributes)
		}
		if !d.scalar(field, rawAttribute{of: of, at: int32(number), name: name}) {
			return nil, false
		}
	}
	if d.failed != nil {
		return nil, false
	}
	if op == nil {
		return nil, d.fail(ClassMissingField, `field %q at byte %d: operation %d is an object without "op"; name the operation there, such as {"op": "conv", "kernel": 3}`, field, at, number)
	}
	return op, true
}

// forget removes the values of a member that comes again: the last one counts.
func (x *extraFields) forget(begin int, name []byte) {
	kept := x.attributes[:begin]
	for _, a := range x.attributes[begin:] {
		given := a.name
		if a.list != nil {
			given = a.list
		}
		if !bytes.Equal(given, name) {
			kept = append(kept, a)
		}
	}
	x.attributes = kept
}

// scalar reads the value of an attribute and keeps it.
func (d *Decoder) scalar(field string, a rawAttribute) (ok bool) {
	const want = "a number, true, false or a string"
	if len(a.name) == 0 || len(a.name) > d.limits.OpBytes {
		return d.fail(ClassValue, "field %q at byte %d: the name of an attribute has %d bytes; give it 1 to %d", field, d.pos, len(a.name), d.limits.OpBytes)
	}
	place := field + "." + string(clip(a.name))
	switch c := d.peek(); {
	case c == '"':
		at := d.pos
		a.kind = TextKind
		if a.text, ok = d.str(); ok && len(a.text) > d.limits.OpBytes {
			return d.fail(ClassTooLarge, "field %q at byte %d: the text has %d bytes, more than %d; shorten it, or put it into \"meta\"", place, at, len(a.text), d.limits.OpBytes)
		}
	case c == '-' || isDigit(c):
		at := d.pos
		if d.pythonNumber() {
			d.pos = at
			return d.fail(ClassNotFinite, "field %q at byte %d: -Infinity is no value to learn from; leave it out", place, at)
		}
		a.number, ok = d.numberField(place)
		a.number += 0 // one zero
	case c == 't' && d.at("true"):
		d.pos += len("true")
		a.kind, a.number, ok = BooleanKind, 1, true
	case c == 'f' && d.at("false"):
		d.pos += len("false")
		a.kind, ok = BooleanKind, true
	case d.at("NaN") || d.at("Infinity"):
		return d.fail(ClassNotFinite, "field %q at byte %d: NaN and Infinity are no values to learn from; leave it out", place, d.pos)
	default:
		return d.wrongType(place, want)
	}
	if ok {
		x := d.extra()
		x.attributes = append(x.attributes, a)
	}
	return ok
}

// hyperparametersField reads an object of values and lists of values.
func (d *Decoder) hyperparametersField() bool {
	const field = "hyperparameters"
	x := d.extra()
	x.drop(ofWhole)
	if x.hasHyperparameters = !d.null(); !x.hasHyperparameters {
		return true
	}
	if d.peek() != '{' {
		return d.wrongType(field, "an object of numbers, booleans, strings and lists of these")
	}
	d.pos++
	begin := len(x.attributes)
	for first := true; d.more('}', first); first = false {
		name, ok := d.key()
		if !ok {
			return false
		}
		x.forget(begin, name)
		switch d.peek() {
		case 'n':
			if d.null() {
				continue
			}
		case '[':
			if !d.hyperparameterList(field, name, begin) {
				return false
			}
			continue
		}
		if !d.room(field, begin) || !d.scalar(field, rawAttribute{of: ofWhole, name: name}) {
			return false
		}
	}
	return d.failed == nil
}

func (d *Decoder) room(field string, begin int) bool {
	if len(d.m.extra.attributes)-begin < d.limits.Hyperparameters {
		return true
	}
	return d.fail(ClassTooLarge, "field %q has more than %d values; leave some out, or put them into \"meta\"", field, d.limits.Hyperparameters)
}

// hyperparameterList reads the elements of a list: name.0, name.1, ...
func (d *Decoder) hyperparameterList(field string, name []byte, begin int) bool {
	d.pos++
	place := 0
	for first := true; d.more(']', first); first = false {
		start := len(d.text)
		d.text = append(d.text, name...)
		d.text = append(d.text, '.')
		d.text = appendInt(d.text, place)
		place++
		if !d.room(field, begin) || !d.scalar(field, rawAttribute{of: ofWhole, name: d.text[start:len(d.text):len(d.text)], list: name}) {
			return false
		}
	}
	return d.failed == nil
}

func appendInt(dst []byte, n int) []byte {
	if n >= 10 {
		dst = appendInt(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}

// drop removes the values of a field that comes again.
func (x *extraFields) drop(of attributeOf) {
	kept := x.attributes[:0]
	for _, a := range x.attributes {
		if a.of != of {
			kept = append(kept, a)
		}
	}
	x.attributes = kept
}
