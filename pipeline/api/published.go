package api

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// visibleWithin bounds how long a request waits for messages published before it.
const visibleWithin = 5 * time.Second

// published is through which offsets this process has published.
type published struct {
	mu sync.Mutex
	to map[Topic]map[int32]int64
}

// note takes in an answer of the publisher.
func (p *published) note(topic Topic, done Published) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, next := range done.Through {
		number, err := strconv.ParseInt(name[strings.LastIndexByte(name, '/')+1:], 10, 32)
		if err != nil {
			continue // no partition
		}
		if p.to == nil {
			p.to = map[Topic]map[int32]int64{}
		}
		if p.to[topic] == nil {
			p.to[topic] = map[int32]int64{}
		}
		p.to[topic][int32(number)] = max(p.to[topic][int32(number)], next)
	}
}

// reached reports whether positions cover the published messages.
func (p *published) reached(topic Topic, positions map[int32]int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, next := range p.to[topic] {
		if positions[number] < next {
			return false
		}
	}
	return true
}
