package experiment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
)

// Corruption spoils some of the training labels: by a value that encodes a failure, or by
// another unit. Its text is a count or a share, and the change: "6=300", "10%*0.01",
// "1*100". "6!" removes them and reports their trainings as failed.
type Corruption struct {
	Count  int     // of labels, or
	Share  float64 // of all
	Set    bool    // their value is Value
	Value  float64
	Factor float64 // otherwise they are multiplied by it
	Failed bool    // or have failed
}

var corruptionText = regexp.MustCompile(`^(\d+)(%?)(?:([=*])(-?[0-9.eE+-]+)|!)$`)

// ParseCorruption reads the text of a corruption; "" is none.
func ParseCorruption(text string) (*Corruption, error) {
	if text == "" {
		return nil, nil
	}
	refused := fmt.Errorf(`corruption %.40q: write how many labels or what share, and a value or a factor, such as "6=300", "1*100" or "10%%*0.01", or "6!" for failures`, text)
	m := corruptionText.FindStringSubmatch(text)
	if m == nil {
		return nil, refused
	}
	many, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, refused
	}
	c := &Corruption{Count: many}
	if m[2] != "" {
		c.Count, c.Share = 0, float64(many)/100
	}
	if c.Failed = m[3] == ""; c.Failed {
		return c, nil
	}
	v, err := strconv.ParseFloat(m[4], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, refused
	}
	if c.Set = m[3] == "="; c.Set {
		c.Value = v
	} else {
		c.Factor = v
	}
	return c, nil
}

// spoil returns the items that are left with their labels, and the items that failed; the
// spoilt ones are drawn at random. minimise says that labels are stored turned.
func (c *Corruption) spoil(items []int, y []float64, minimise bool, seed uint64) (left []int, labels []float64, failed []int) {
	n := c.Count
	if c.Share > 0 {
		n = int(c.Share*float64(len(y)) + .5)
	}
	spoilt := map[int]bool{}
	for _, i := range rand.New(rand.NewPCG(seed, 0x73706f696c)).Perm(len(y))[:min(n, len(y))] { // "spoil"
		spoilt[i] = true
	}
	for i, v := range y {
		switch {
		case !spoilt[i]:
		case c.Failed:
			failed = append(failed, items[i])
			continue
		case c.Set && minimise:
			v = -c.Value
		case c.Set:
			v = c.Value
		default:
			v *= c.Factor
		}
		left, labels = append(left, items[i]), append(labels, v)
	}
	return left, labels, failed
}
