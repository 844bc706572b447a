package schemas

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Notices returns warnings about the messages read since the last call: each sentence
// once in the life of the decoder.
func (d *Decoder) Notices() []string {
	var out []string
	if len(d.unread) > 0 {
		out = append(out, fmt.Sprintf("members that nothing reads: %s", strings.Join(d.unread, ", ")))
		d.unread = nil
	}
	if d.missing && !d.warnedMissing {
		d.warnedMissing = true
		out = append(out, "NaN or Infinity, which JSON does not have, is taken for a missing value; write null, or leave it out")
	}
	return out
}

// Review collects oddities of candidates and labels that are each valid. The zero Review
// is ready to use. It is not for concurrent use.
type Review struct {
	Spaces  []*SpaceReview // in the order in which they came
	bySpace map[string]*SpaceReview
}

// SpaceReview is a Review of one space.
type SpaceReview struct {
	Name        string
	Candidates  int
	Pruned      int    // candidates with nodes on no path from input to output
	FirstPruned string // the id of the first of them, or its place
	networks    map[ID]bool
	byID        map[string]ID
	conflicts   int
	conflict    string
	tasks       map[string]int
	kinds       map[attributeName]kinds
}

// attributeName is the name of an attribute, or of a hyperparameter.
type attributeName struct {
	whole bool
	name  Symbol
}

// kinds are the kinds of values of an attribute; words are texts that do not read as
// numbers.
type kinds struct{ numbers, texts, words bool }

// reviewed bounds the ids and networks that a review remembers of a space.
const reviewed = 1 << 17

func (r *Review) space(name string) *SpaceReview {
	s := r.bySpace[name]
	if s == nil {
		s = &SpaceReview{Name: name, networks: map[ID]bool{}, byID: map[string]ID{}, tasks: map[string]int{}}
		if r.bySpace == nil {
			r.bySpace = map[string]*SpaceReview{}
		}
		r.bySpace[name] = s
		r.Spaces = append(r.Spaces, s)
	}
	return s
}

// Candidate takes in row i and returns the review of its space.
func (r *Review) Candidate(c *Candidates, i int) *SpaceReview {
	s := r.space(c.NameOf(i, c.Space[i]))
	s.Candidates++
	id := string(AppendIDText(nil, c.ID.At(i)))
	if c.Architecture[i] != c.Network[i] {
		if s.Pruned++; s.Pruned == 1 {
			s.FirstPruned = id
		}
	}
	attributes := c.Graphs.AttributesOf(i)
	for k := range attributes {
		s.attribute(&attributes[k])
	}
	if len(s.networks) < reviewed {
		s.networks[c.Network[i]] = true
	}
	if id != "" {
		before, known := s.byID[id]
		if known && before != c.Architecture[i] {
			if s.conflicts++; s.conflicts == 1 {
				s.conflict = id
			}
		}
		if known || len(s.byID) < reviewed {
			s.byID[id] = c.Architecture[i]
		}
	}
	return s
}

// attribute notes the kind of a value; names that the process does not keep are left out.
func (s *SpaceReview) attribute(a *Attribute) {
	if a.Name < 0 || a.Kind == BooleanKind {
		return
	}
	if s.kinds == nil {
		s.kinds = map[attributeName]kinds{}
	}
	at := attributeName{a.Node == WholeGraph, a.Name}
	k := s.kinds[at]
	if a.Kind == TextKind {
		k.texts = true
		k.words = k.words || a.Text < 0 || !readsAsNumber(Name(a.Text))
	} else {
		k.numbers = true
	}
	s.kinds[at] = k
}

// readsAsNumber says that JSON has the text as a number.
func readsAsNumber(text string) bool {
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// named returns the names of the attributes whose values are of such kinds.
func (s *SpaceReview) named(such func(kinds) bool) (names []string) {
	for at, k := range s.kinds {
		if such(k) {
			kind := "attribute "
			if at.whole {
				kind = "hyperparameter "
			}
			names = append(names, kind+Name(at.name))
		}
	}
	slices.Sort(names)
	return names
}

// Label takes in a label.
func (r *Review) Label(l *Label) {
	if s := r.space(l.Space); len(s.tasks) < 1000 || s.tasks[l.Task] > 0 {
		s.tasks[l.Task]++
	}
}

// NameNotice returns a sentence where the name is nearly that of a built-in space, else "".
func (s *SpaceReview) NameNotice() string {
	like := similarSpace(s.Name)
	if like == "" {
		return ""
	}
	return fmt.Sprintf("space %q: is a space of your own; if %q is meant, write it so", s.Name, like)
}

// Notices returns a sentence for everything odd.
func (s *SpaceReview) Notices() []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("space %q: ", s.Name)+fmt.Sprintf(format, args...))
	}
	if notice := s.NameNotice(); notice != "" {
		out = append(out, notice)
	}
	if s.Pruned > 0 {
		which := ""
		if s.FirstPruned != "" {
			which = fmt.Sprintf(", the first %q", s.FirstPruned)
		}
		say(`%d of %d candidates have nodes on no path from an input to an output, which are left out of "network"%s`, s.Pruned, s.Candidates, which)
	}
	if s.Candidates > 1 && len(s.networks) == 1 {
		say("all %d candidates are one network: what tells them apart belongs into the attributes of operations or into \"hyperparameters\"", s.Candidates)
	}
	if s.conflicts > 0 {
		say("%d times an id comes again with another architecture, the first %q; a label by that id is of the last one", s.conflicts, s.conflict)
	}
	if names := s.named(func(k kinds) bool { return k.numbers && k.texts }); len(names) > 0 {
		say("a number in some candidates and a text in others, which are not the same: %s; write numbers without quotes", strings.Join(names[:min(len(names), 5)], ", "))
	}
	if names := s.named(func(k kinds) bool { return k.texts && !k.numbers && !k.words }); len(names) > 0 {
		say("texts that read as numbers, which are learnt as words that have no order: %s; write numbers without quotes", strings.Join(names[:min(len(names), 5)], ", "))
	}
	for _, typo := range s.likelyTypos() {
		say("%s", typo)
	}
	return out
}

// likelyTypos names tasks with few labels that are spelt nearly like one with
// many.
func (s *SpaceReview) likelyTypos() (out []string) {
	names := make([]string, 0, len(s.tasks))
	for name := range s.tasks {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, few := range names {
		for _, many := range names {
			if s.tasks[many] >= 8*s.tasks[few] && len(few) > 3 && distance(few, many) <= 2 && !differInDigits(few, many) {
				out = append(out, fmt.Sprintf("task %q has %d labels; is it %q, which has %d?", few, s.tasks[few], many, s.tasks[many]))
			}
		}
	}
	return out
}

// differInDigits reports whether names are the same but for digits, as cifar10 and
// cifar100 are.
func differInDigits(a, b string) bool {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, s)
	}
	return letters(a) == letters(b)
}
