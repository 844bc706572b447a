package schemas

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Symbol is the number of a name that recurs in millions of rows: an operation, a space,
// a proxy, a task, a model. Symbols are numbered in order of arrival, so a number has a
// meaning in this process only; outputs carry the name.
type Symbol = int32

// NoSymbol is the absence of a name.
const NoSymbol Symbol = -1

// MaxSymbols bounds the names that foreign messages can make a process keep.
// Later ones stay with their graphs, see Graphs.Name. Names that models have
// learnt, and those of this program, are kept beyond it.
const MaxSymbols = 1 << 16

// maxSymbols bounds all names.
const maxSymbols = 1 << 24

// symbols is the one table of names. Reading takes no lock: a snapshot is
// replaced whole when a name is added, which happens a few dozen times in the
// life of a process.
var symbols struct {
	mu    sync.Mutex
	names atomic.Pointer[[]string]
	codes sync.Map // string -> Symbol
}

// Intern returns the symbol of name, giving it one when it is new. It is for
// names that are bounded elsewhere, such as those of a model.
func Intern(name string) (Symbol, error) {
	code, ok := intern(name, maxSymbols)
	if !ok {
		return NoSymbol, fmt.Errorf("more than %d distinct names", maxSymbols)
	}
	return code, nil
}

// foreignSymbols is MaxSymbols except in tests.
var foreignSymbols = MaxSymbols

// internForeign is Intern for a name in a message, false when the process keeps
// no more of them.
func internForeign(name string) (Symbol, bool) { return intern(name, foreignSymbols) }

func intern(name string, limit int) (Symbol, bool) {
	if code, ok := Lookup(name); ok {
		return code, true
	}
	symbols.mu.Lock()
	defer symbols.mu.Unlock()
	if code, ok := Lookup(name); ok {
		return code, true
	}
	var names []string
	if known := symbols.names.Load(); known != nil {
		names = *known
	}
	if len(names) >= limit {
		return NoSymbol, false
	}
	// Readers hold the old header, whose length hides the new element.
	names = append(names, name)
	symbols.names.Store(&names)
	code := Symbol(len(names) - 1)
	symbols.codes.Store(name, code)
	return code, true
}

// MustIntern is Intern for names that this program itself defines.
func MustIntern(name string) Symbol {
	code, err := Intern(name)
	if err != nil {
		panic(err)
	}
	return code
}

// Lookup returns the symbol of name if it has one.
func Lookup(name string) (Symbol, bool) {
	code, ok := symbols.codes.Load(name)
	if !ok {
		return NoSymbol, false
	}
	return code.(Symbol), true
}

// Name returns the name of s, "" for NoSymbol and for names that a graph keeps for
// itself.
func Name(s Symbol) string {
	if s < 0 {
		return ""
	}
	return (*symbols.names.Load())[s]
}
