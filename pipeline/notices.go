package pipeline

import (
	"strings"
	"sync"
)

// notices are sentences about the input that are logged once in the life of a
// process, however often their reason occurs.
type notices struct {
	mu     sync.Mutex
	logged map[string]bool
}

// maxNotices bounds the number of sentences that are logged.
const maxNotices = 1000

// fresh reports whether a sentence is to be logged: whether none like it, numbers aside,
// has been.
func (n *notices) fresh(sentence string) bool {
	kind := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, sentence)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.logged == nil {
		n.logged = map[string]bool{}
	}
	if n.logged[kind] || len(n.logged) >= maxNotices {
		return false
	}
	n.logged[kind] = true
	return true
}

// promotions signals that models were promoted. A slow receiver gets one signal for
// several.
type promotions chan struct{}

func (p promotions) notify() {
	select {
	case p <- struct{}{}:
	default:
	}
}
