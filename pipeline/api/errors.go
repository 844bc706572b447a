package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"archflow/schemas"
)

// Error is a client's answer to a request that failed or, in a batch, the answer to an
// element that was rejected.
type Error struct {
	Status  int    `json:"-"`     // of HTTP, 400 to 504
	Message string `json:"error"` // the fault and its place
	Class   string `json:"class"` // one of schemas.Classes, or one of the classes below
	Cure    string `json:"cure"`
}

// Error returns the sentence with its cure.
func (e *Error) Error() string { return e.Message + "; " + e.Cure }

// The classes of errors beside those of rejected messages.
const (
	ClassContentType = "content-type" // neither JSON nor JSON Lines
	ClassParameter   = "parameter"    // a parameter of the request is missing or wrong
	ClassNotFound    = "not-found"    // no such path, space or task
	ClassMethod      = "method"       // the path takes another method
	ClassConflict    = "idempotency"  // the Idempotency-Key belongs to another request
	ClassInternal    = "internal"     // a fault of ours
	ClassRole        = "role"         // this process does not do it
	ClassStarting    = "starting"     // not ready yet, or stopping
	ClassBusy        = "busy"         // too many requests at once
	ClassBroker      = "broker"       // Kafka did not take the messages
	ClassTimeout     = "timeout"      // not within the time that was allowed
)

func refuse(status int, class, cure, format string, args ...any) *Error {
	return &Error{Status: status, Class: class, Cure: cure, Message: fmt.Sprintf(format, args...)}
}

// rejected returns the error for a message that cannot be used. Its reason ends with the
// cure.
func rejected(class, reason string) *Error {
	e := &Error{Status: http.StatusBadRequest, Class: class, Message: reason, Cure: "correct it and send it again"}
	if at := strings.LastIndex(reason, "; "); at > 0 {
		e.Message, e.Cure = reason[:at], reason[at+2:]
	}
	if class == schemas.ClassTooLarge {
		e.Status = http.StatusRequestEntityTooLarge
	}
	return e
}

// describe turns any error into one for clients.
func describe(err error) *Error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusGatewayTimeout, ClassTimeout, "ask again", "not answered in time: %v", err)
	case errors.Is(err, context.Canceled):
		return refuse(http.StatusServiceUnavailable, ClassStarting, "ask again, or another process of the group", "the request was given up: %v", err)
	}
	return refuse(http.StatusInternalServerError, ClassInternal, "look into the log of the server, and report it", "%v", err)
}

// fail answers with an error.
func fail(w http.ResponseWriter, err error) {
	e := describe(err)
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, e.Status, e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written as JSON","class":"internal","cure":"report it"}`)
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may have gone: nobody could get an error
}
