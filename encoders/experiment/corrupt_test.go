package experiment

import (
	"slices"
	"testing"
)

func TestCorruptions(t *testing.T) {
	for text, want := range map[string]Corruption{
		"6=300": {Count: 6, Set: true, Value: 300}, "1*100": {Count: 1, Factor: 100},
		"10%*0.01": {Share: .1, Factor: .01}, "6!": {Count: 6, Failed: true}, "2=-1e3": {Count: 2, Set: true, Value: -1000},
	} {
		if got, err := ParseCorruption(text); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"6", "=3", "6=", "x*2", "6=1e999", "6!3"} {
		if _, err := ParseCorruption(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	items, y := []int{4, 5, 6, 7}, []float64{1, 2, 3, 4}
	count := func(c Corruption, minimise bool, value float64) (changed, left int) {
		kept, labels, failed := c.spoil(items, y, minimise, 9)
		if c.Failed != (len(failed) > 0) || len(failed)+len(kept) != 4 {
			t.Errorf("%+v: %v failed, %v are left", c, failed, kept)
		}
		for _, v := range labels {
			if v == value {
				changed++
			}
		}
		return changed, len(kept)
	}
	if changed, left := count(Corruption{Count: 2, Set: true, Value: 300}, true, -300); changed != 2 || left != 4 {
		t.Errorf("%d of %d are -300", changed, left)
	}
	if _, left := count(Corruption{Share: .5, Failed: true}, false, 0); left != 2 {
		t.Errorf("%d are left, want 2", left)
	}
	if !slices.Equal(y, []float64{1, 2, 3, 4}) {
		t.Errorf("the table's labels became %v", y)
	}
}
