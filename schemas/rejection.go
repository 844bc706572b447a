package schemas

import "fmt"

// The classes of rejections: a closed list, so that a metric may carry them.
const (
	ClassEmpty            = "empty"             // no bytes, or a graph without nodes
	ClassJSON             = "json"              // not JSON, NaN and trailing bytes included
	ClassUTF8             = "utf8"              // a string is not UTF-8, perhaps cut
	ClassTooLarge         = "too-large"         // more bytes, nodes, edges or proxies than the limits
	ClassTooDeep          = "too-deep"          // nested deeper than the limit
	ClassMissingField     = "missing-field"     // a field that the message needs is absent or null
	ClassWrongType        = "wrong-type"        // a field holds another type than it should
	ClassNotFinite        = "not-finite"        // a number beyond float64
	ClassUnknownSpace     = "unknown-space"     // no space of that name
	ClassUnknownOperation = "unknown-operation" // the space has no operation of that name
	ClassNotation         = "notation"          // arch is not in the space's notation
	ClassEdgeRange        = "edge-out-of-range" // an edge names a node that is not there
	ClassSelfLoop         = "self-loop"         // an edge from a node to itself
	ClassCycle            = "cycle"             // edges that lead back to where they began
	ClassRule             = "rule"              // a rule of the space is broken
	ClassTooManyNames     = "too-many-names"    // the process knows MaxSymbols names already
	ClassConflict         = "conflict"          // two fields of a label contradict each other
	ClassValue            = "value"             // a field has the right type and an impossible value
	ClassUnreadable       = "unreadable"        // the broker's record batch itself cannot be read
	ClassInternal         = "internal"          // a stage failed at it: a fault of archflow
	ClassLost             = "lost"              // retention deleted it before it was read, and --skip-lost goes on
)

// Classes lists every class.
var Classes = []string{
	ClassEmpty, ClassJSON, ClassUTF8, ClassTooLarge, ClassTooDeep, ClassMissingField, ClassWrongType, ClassNotFinite,
	ClassUnknownSpace, ClassUnknownOperation, ClassNotation, ClassEdgeRange, ClassSelfLoop, ClassCycle, ClassRule,
	ClassTooManyNames, ClassConflict, ClassValue, ClassUnreadable, ClassLost, ClassInternal,
}

// Rejection says why a message becomes a dead letter. It is an error so that
// ordinary code can return it.
type Rejection struct {
	Class  string // one of the Class constants: bounded, for metrics
	Reason string // a sentence: the fault, its place, the cure
}

// Error returns the reason.
func (r *Rejection) Error() string { return r.Reason }

func reject(class, format string, args ...any) *Rejection {
	return &Rejection{class, fmt.Sprintf(format, args...)}
}
