package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"archflow/schemas"
)

const (
	typeJSON  = "application/json"
	typeLines = "application/x-ndjson"
)

// Bounds of one request. A client with more sends several.
const (
	MaxBody     = 64 << 20
	MaxElements = 100_000
)

// form is how a body holds its elements, and so how the answer does.
type form int

const (
	single form = iota // one object
	array              // a JSON array
	lines              // JSON Lines
)

// elements is a body, cut but not read: whoever decodes an element rejects it.
type elements struct {
	form form
	list [][]byte // views of the body
}

// readElements reads the body of a request.
func readElements(w http.ResponseWriter, r *http.Request) (elements, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeJSON && kind != typeLines {
		// A form of another site cannot send these types without asking first.
		return elements{}, refuse(http.StatusUnsupportedMediaType, ClassContentType, "send Content-Type: application/json, or application/x-ndjson with an object a line", "the content type is %.60q", r.Header.Get("Content-Type"))
	}
	body, err := readBody(w, r)
	if err != nil {
		return elements{}, err
	}
	if kind == typeLines {
		return cutLines(body)
	}
	return cutJSON(body)
}

// readBody reads a whole body, at most MaxBody. Afterwards the request may take
// longer than a server allows for reading it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= MaxBody {
		body.Grow(int(n) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refuse(http.StatusRequestEntityTooLarge, schemas.ClassTooLarge, "send it in parts", "the body has more than %d bytes", MaxBody)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, schemas.ClassJSON, "send it again", "the body could not be read: %v", err)
	}
	// With the deadline of the reading left in place, the server would end the
	// context of a request that waits. Servers of tests have none to lift.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body.Bytes(), nil
}

func tooMany() error {
	return refuse(http.StatusRequestEntityTooLarge, schemas.ClassTooLarge, "send it in parts", "the body has more than %d elements", MaxElements)
}

func nothing() error {
	return refuse(http.StatusBadRequest, schemas.ClassEmpty, "send an object, an array of objects, or with Content-Type: application/x-ndjson an object a line", "the body is empty")
}

// cutLines cuts JSON Lines; empty lines do not count.
func cutLines(body []byte) (elements, error) {
	e := elements{form: lines}
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		body = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(e.list) == MaxElements {
			return elements{}, tooMany()
		}
		e.list = append(e.list, line)
	}
	if len(e.list) == 0 {
		return elements{}, nothing()
	}
	return e, nil
}

// cutJSON cuts an array at its commas; anything else is one element.
func cutJSON(body []byte) (elements, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return elements{}, nothing()
	case body[0] != '[':
		return elements{form: single, list: [][]byte{body}}, nil
	}
	e, at := elements{form: array}, 1
	broken := func(what string) (elements, error) {
		return elements{}, refuse(http.StatusBadRequest, schemas.ClassJSON, "send a JSON array of objects", "the array %s at byte %d", what, at)
	}
	for at = skipSpace(body, at); at < len(body) && body[at] != ']'; {
		if len(e.list) == MaxElements {
			return elements{}, tooMany()
		}
		end, err := elementEnd(body, at)
		if err != nil {
			return broken(err.Error())
		}
		element := bytes.TrimSpace(body[at:end])
		if len(element) == 0 {
			return broken("has no element")
		}
		e.list = append(e.list, element)
		if at = end; body[at] == ',' {
			if at = skipSpace(body, at+1); at < len(body) && body[at] == ']' {
				return broken("has no element")
			}
		}
	}
	switch {
	case at >= len(body):
		return broken("does not end")
	case at+1 != len(body):
		at++
		return broken("is followed by something")
	}
	return e, nil
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t') {
		at++
	}
	return at
}

// elementEnd returns where the element of an array that begins at a place ends:
// at the comma or the bracket behind it.
func elementEnd(b []byte, at int) (int, error) {
	end := valueEnd(b, at)
	switch {
	case end < 0:
		return 0, fmt.Errorf("does not end: %w", io.ErrUnexpectedEOF)
	case b[end] == '}':
		return 0, errors.New("has a } too many")
	}
	return end, nil
}

// valueEnd returns where a value ends: at the comma, the bracket or the brace
// behind it; -1 when there is none.
func valueEnd(b []byte, at int) int {
	for depth := 0; at < len(b); at++ {
		switch b[at] {
		case '"':
			end, err := stringEnd(b, at)
			if err != nil {
				return -1
			}
			at = end - 1
		case '{', '[':
			depth++
		case ']', '}':
			if depth == 0 {
				return at
			}
			depth--
		case ',':
			if depth == 0 {
				return at
			}
		}
	}
	return -1
}

// stringEnd returns the place behind a string that begins at a place.
func stringEnd(b []byte, at int) (int, error) {
	if at >= len(b) || b[at] != '"' {
		return 0, io.ErrUnexpectedEOF
	}
	for at++; at < len(b); at++ {
		switch b[at] {
		case '\\':
			at++
		case '"':
			return at + 1, nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}
