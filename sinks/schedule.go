package sinks

import (
	"fmt"
	"strconv"
	"strings"

	"archflow/schemas"
)

// Schedule says which version of the model registry answered from which offset
// on: Schedule[i].Registry from Schedule[i].From to Schedule[i+1].From. It
// travels in the metadata of the offset commit, so that a replay, after a crash
// between the commits of two sinks, asks the model that answered the first
// time.
type Schedule []Answered

// Answered begins a stretch of offsets that one version answered.
type Answered struct {
	From     int64
	Registry int64
}

// At returns the version that answered an offset, the newest when that is not
// recorded.
func (s Schedule) At(offset int64) int64 {
	registry := int64(schemas.NewestRegistry)
	for _, a := range s {
		if a.From > offset {
			break
		}
		registry = a.Registry
	}
	return registry
}

// answered records that a version answers from an offset on, in place of later records.
func (s Schedule) answered(from, registry int64) Schedule {
	for len(s) > 0 && s[len(s)-1].From >= from {
		s = s[:len(s)-1]
	}
	if n := len(s); n > 0 && s[n-1].Registry == registry {
		return s
	}
	return append(s, Answered{from, registry})
}

// Past describes the answered offsets of a partition: those below Next.
type Past struct {
	Schedule Schedule
	Next     int64
}

// Stretch returns the version that answered an offset, the newest when none has,
// and where the next stretch begins, at most end.
func (p *Past) Stretch(offset, end int64) (registry, next int64) {
	if offset >= p.Next {
		return schemas.NewestRegistry, end
	}
	next = min(end, p.Next)
	for _, s := range p.Schedule {
		if s.From > offset {
			next = min(next, s.From)
			break
		}
	}
	return p.Schedule.At(offset), next
}

// since drops the part before floor.
func (s Schedule) since(floor int64) Schedule {
	n := 0
	for n+1 < len(s) && s[n+1].From <= floor {
		n++
	}
	return s[n:]
}

// maxMetadata is the broker's default of offset.metadata.max.bytes.
const maxMetadata = 4096

// String is the text in the offset commit: "offset:registry" in order, the offsets after
// the first as differences, all in base 36.
func (s Schedule) String() string {
	var b strings.Builder
	before := int64(0)
	for i, a := range s {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(strconv.FormatInt(a.From-before, 36))
		b.WriteByte(':')
		b.WriteString(strconv.FormatInt(a.Registry, 36))
		before = a.From
	}
	return b.String()
}

// ParseSchedule reverses String.
func ParseSchedule(text string) (Schedule, error) {
	if text == "" {
		return nil, nil
	}
	var s Schedule
	before := int64(0)
	for part := range strings.SplitSeq(text, ";") {
		from, registry, ok := strings.Cut(part, ":")
		f, err1 := strconv.ParseInt(from, 36, 64)
		r, err2 := strconv.ParseInt(registry, 36, 64)
		if !ok || err1 != nil || err2 != nil || f < 0 || r < 0 || before+f < before || len(s) > 0 && f == 0 {
			return nil, fmt.Errorf("metadata %.40q of an offset is not archflow's", text)
		}
		before += f
		s = append(s, Answered{before, r})
	}
	return s, nil
}
