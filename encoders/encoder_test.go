//go:build unix

package encoders

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// processorTime returns the processor time of this process, which other processes do not
// lengthen.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEncoders compares the encoders in their own sizes, by processor time:
// embeddings, and steps of pre-training on flow and a proxy.
func BenchmarkEncoders(b *testing.B) {
	g := denseGraphs(4096)
	rng := rand.New(rand.NewPCG(1, 1))
	flow, proxy := make([]float32, 7*g.Len()), make([]float32, g.Len())
	for i := range flow {
		flow[i] = float32(rng.NormFloat64())
	}
	for i := range proxy {
		proxy[i] = rng.Float32()
	}
	rows := rng.Perm(g.Len())
	for _, encoder := range Names {
		trunk, err := NewTrunk(TrunkConfig{Encoder: encoder, K: 7, Proxies: 1, Cores: 1})
		if err != nil {
			b.Fatal(err)
		}
		const batch = 256
		trunk.Step(g, rows[:batch], flow, [][]float32{proxy}) // learns the operations
		z := make([]float32, g.Len()*trunk.Dimension())
		b.Run(encoder+"/embed", func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				trunk.Embed(z, g, rows)
			}
			b.ReportMetric(float64(len(rows)*b.N)/(processorTime(b)-before).Seconds(), "architectures/processor-s")
		})
		b.Run(encoder+"/step", func(b *testing.B) {
			b.ReportAllocs()
			at, before := 0, processorTime(b)
			for b.Loop() {
				trunk.Step(g, rows[at:at+batch], flow, [][]float32{proxy})
				at = (at + batch) % len(rows)
			}
			b.ReportMetric(float64(batch*b.N)/(processorTime(b)-before).Seconds(), "architectures/processor-s")
		})
	}
}
