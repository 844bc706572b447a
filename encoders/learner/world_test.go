package learner

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// operations of nb201; the first carries nothing, so that many architectures
// share a network.
var operations = []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}

// arch returns cell number i of nb201, 0 to 15,624.
func arch(i int) string {
	var op [6]string
	for e := range op {
		op[e] = operations[i%len(operations)]
		i /= len(operations)
	}
	return fmt.Sprintf("|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|", op[0], op[1], op[2], op[3], op[4], op[5])
}

// truth is the function behind the labels of networks.
func truth(ops []schemas.Symbol, edges []int32) float64 {
	sum := 0.1 * float64(len(edges))
	for _, op := range ops {
		switch schemas.Name(op) {
		case "nor_conv_3x3":
			sum += 2
		case "nor_conv_1x1":
			sum++
		case "avg_pool_3x3":
			sum -= 0.5
		}
	}
	return sum
}

// world is a stream of candidates to draw from.
type world struct {
	c       schemas.Candidates
	decoder *schemas.Decoder
}

// cells returns the candidates of those cells of nb201, named "c<number>".
func cells(t testing.TB, proxies func(i int) string, numbers ...int) *world {
	w := &world{decoder: schemas.NewDecoder(schemas.Limits{})}
	for _, i := range numbers {
		carried := ""
		if proxies != nil {
			carried = proxies(i)
		}
		w.add(t, fmt.Sprintf(`{"space":"nb201","id":"c%d","arch":%q%s}`, i, arch(i), carried))
	}
	return w
}

func (w *world) add(t testing.TB, message string) {
	t.Helper()
	if refused := w.decoder.Candidate(&w.c, []byte(message)); refused != nil {
		t.Fatal(refused)
	}
	w.c.Append(int64(len(w.c.Space)), 0, nil, nil)
}

// value returns the label of candidate i.
func (w *world) value(i int) float64 { return truth(w.c.Networks.Graph(i)) }

func (w *world) byID(i int, task string, value float64) schemas.Label {
	return schemas.Label{Space: "nb201", Task: task, Value: value, ID: bytes.Clone(w.c.ID.At(i))}
}

func (w *world) byArchitecture(i int, task string, value float64) schemas.Label {
	return schemas.Label{Space: "nb201", Task: task, Value: value, Architecture: w.c.Architecture[i], HasArchitecture: true}
}

// byGraph returns a label that carries the graph of cell number i.
func (w *world) byGraph(t testing.TB, i int, task string, value float64) schemas.Label {
	t.Helper()
	l, refused := w.decoder.Label(fmt.Appendf(nil, `{"space":"nb201","arch":%q,"task":%q,"value":%g}`, arch(i), task, value))
	if refused != nil {
		t.Fatal(refused)
	}
	return l
}

func withdrawn(l schemas.Label) schemas.Label {
	l.Value, l.Withdrawn = 0, true
	return l
}

// some returns n different cells, in random order.
func some(seed uint64, n int) []int { return rand.New(rand.NewPCG(seed, 1)).Perm(15625)[:n] }

// synflow gives every candidate a proxy that says something.
func synflow(i int) string {
	return fmt.Sprintf(`,"proxies":{"synflow":%d}`, 3*strings.Count(arch(i), "3x3~")+strings.Count(arch(i), "1x1"))
}

// tiny is a learner that fits in milliseconds.
func tiny(space string) Config {
	return Config{
		Space: space, Flow: flow.New(flow.Config{K: 4, Std: 0.1, Seed: 1}),
		Width: 8, Layers: 2, Epochs: 2, Buffer: 96, Remember: 400, Seed: 1, batch: 16, distilEpochs: 2, minLessons: 2,
	}
}

func observeAll(l *Learner, w *world) {
	for i := range w.c.Space {
		l.Observe(&w.c, i)
	}
}

// workAll works until nothing is due and returns the challengers.
func workAll(t testing.TB, l *Learner) (all []*Challenger) {
	t.Helper()
	for pieces := 0; l.Due(false); pieces++ {
		if pieces > 10000 {
			t.Fatal("work is due without end")
		}
		p, err := l.Work(context.Background(), false)
		if err != nil {
			t.Fatal(err)
		}
		if p.Challenger != nil && !p.Challenger.Taught {
			all = append(all, p.Challenger)
		}
	}
	return all
}

// modelBytes returns the champion as it is stored.
func modelBytes(t testing.TB, l *Learner) []byte {
	t.Helper()
	if l.champion == nil {
		return nil
	}
	var b bytes.Buffer
	if err := l.champion.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
