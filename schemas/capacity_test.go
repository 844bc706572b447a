package schemas

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestCapacityHintKeepsColumnsFromGrowing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d := NewDecoder(Limits{})
	decode := func(c Candidates, from int) (Candidates, int) {
		bytes := 0
		for i := range 200 {
			row := benchmarkRow(r, from+i)
			bytes += len(row)
			if refused := d.Candidate(&c, row); refused != nil {
				t.Fatal(refused)
			}
			c.Append(int64(i), 0, []byte("key"), nil)
		}
		return c, bytes
	}
	first, bytes := decode(Candidates{}, 0)
	empty := first.CapacityHint(bytes).For(200, bytes)
	if empty.Len() != 0 {
		t.Fatalf("%d rows in empty candidates", empty.Len())
	}
	capacity := cap(empty.Graphs.Ops)
	second, _ := decode(empty, 200)
	if cap(second.Graphs.Ops) != capacity || cap(second.Offset) != 200 {
		t.Errorf("room for %d nodes and 200 rows grew to %d and %d", capacity, cap(second.Graphs.Ops), cap(second.Offset))
	}
	if none := (CapacityHint{}).For(200, bytes); !reflect.DeepEqual(none, Candidates{}) {
		t.Errorf("no room is %+v", none)
	}
}
