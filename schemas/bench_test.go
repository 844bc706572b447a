package schemas

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// benchmarkRow returns a row as benchmark tables have them: nb201 with 13
// proxies, labels and hardware figures, some 565 bytes.
func benchmarkRow(r *rand.Rand, i int) []byte {
	ops := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	var o [6]any
	for j := range o {
		o[j] = ops[r.IntN(len(ops))]
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":%d,"space":"nb201","arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"`, append([]any{i}, o[:]...)...)
	fmt.Fprintf(&b, `,"ops":["input","%s","%s","%s","%s","%s","%s","output"]`, o[:]...)
	b.WriteString(`,"edges":[[0,1],[0,2],[0,4],[1,3],[1,5],[2,6],[3,6],[4,7],[5,7],[6,7]]`)
	fmt.Fprintf(&b, `,"labels":{"cifar10_test":%.6f,"cifar10_valid":%.2f,"cifar10_valid_12ep":%.3f},"proxies":{`, 100*r.Float64(), 100*r.Float64(), 100*r.Float64())
	for j, name := range strings.Fields("epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen") {
		if j > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%s":%.7g`, name, 400*r.NormFloat64())
	}
	fmt.Fprintf(&b, `},"hw":{"edgegpu_latency":%.5f,"edgegpu_energy":%.4f}}`, 10*r.Float64(), 50*r.Float64())
	return []byte(b.String())
}

// plain decodes with encoding/json and builds the same row by the same code.
func (d *Decoder) plain(dst *Candidates, value []byte) error {
	var f Fields
	if err := json.Unmarshal(value, &f); err != nil {
		return err
	}
	if refused := d.Fields(dst, &f); refused != nil {
		return refused
	}
	return nil
}

// reset empties c and keeps its memory.
func (c *Candidates) reset() {
	for _, s := range []*Strings{&c.ID, &c.Arch, &c.Meta} {
		s.Start, s.Data = s.Start[:0], s.Data[:0]
	}
	c.Space, c.Architecture, c.Network = c.Space[:0], c.Architecture[:0], c.Network[:0]
	c.Graphs.Reset()
	c.Networks.Reset()
	c.ProxyStart, c.ProxyName, c.ProxyValue = c.ProxyStart[:0], c.ProxyName[:0], c.ProxyValue[:0]
}

// BenchmarkDecode measures candidates a second and, in turns with it, how many
// times longer encoding/json takes for the same rows. Both figures are of the
// fastest turns, which nothing else on the machine disturbed.
func BenchmarkDecode(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	rows, size := make([][]byte, 64), 0
	for i := range rows {
		rows[i] = benchmarkRow(r, i)
		size += len(rows[i])
	}
	d := NewDecoder(Limits{})
	var c Candidates
	b.SetBytes(int64(size))
	b.ReportAllocs()
	ours, plain := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		c.reset()
		start := time.Now()
		for _, row := range rows {
			if r := d.Candidate(&c, row); r != nil {
				b.Fatal(r)
			}
		}
		ours = min(ours, time.Since(start))
		b.StopTimer()
		c.reset()
		start = time.Now()
		for _, row := range rows {
			if err := d.plain(&c, row); err != nil {
				b.Fatal(err)
			}
		}
		plain = min(plain, time.Since(start))
		b.StartTimer()
	}
	b.ReportMetric(float64(len(rows))/ours.Seconds(), "candidates/s")
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "x_encoding/json")
}

// BenchmarkNodes shows that a graph costs in proportion to its nodes, in order
// or back to front.
func BenchmarkNodes(b *testing.B) {
	for _, backwards := range []bool{false, true} {
		for _, n := range []int{20, 200, 2000} {
			var ops, edges []string
			for v := range n {
				ops = append(ops, fmt.Sprintf("%q", []string{"conv", "pool", "add"}[v%3]))
				for _, back := range []int{1, 2, 7} {
					if u := v - back; u >= 0 {
						from, to := u, v
						if backwards {
							from, to = n-1-u, n-1-v
						}
						edges = append(edges, fmt.Sprintf("[%d,%d]", from, to))
					}
				}
			}
			value := []byte(`{"space":"dag","ops":[` + strings.Join(ops, ",") + `],"edges":[` + strings.Join(edges, ",") + `]}`)
			b.Run(fmt.Sprintf("%d/backwards=%v", n, backwards), func(b *testing.B) {
				d := NewDecoder(Limits{})
				var c Candidates
				b.ReportAllocs()
				for b.Loop() {
					c.reset()
					if r := d.Candidate(&c, value); r != nil {
						b.Fatal(r)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
			})
		}
	}
}
