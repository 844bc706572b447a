package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/schemas"
	"archflow/sinks"
)

// killed is a store that ends the process before an object under prefix.
type killed struct {
	sinks.Bucket
	prefix string
}

var errKilled = errors.New("killed")

func (k killed) Create(ctx context.Context, key string, data []byte) error {
	if strings.HasPrefix(key, k.prefix) {
		return errKilled
	}
	return k.Bucket.Create(ctx, key, data)
}

// promotion returns a learner of t whose next piece of work is a fit, and the
// challenger that it gives.
func promotion(t *testing.T, tr *trainer) (*learner.Learner, *learner.Challenger) {
	t.Helper()
	l := learner.New(tr.learnerConfig("nb201"))
	if err := tr.stage.Adopt(l); err != nil {
		t.Fatal(err)
	}
	var c schemas.Candidates
	d := schemas.NewDecoder(schemas.Limits{})
	ops := []string{"skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	for i := range 60 {
		arch := fmt.Sprintf("|%s~0|+|%s~0|%s~1|+|none~0|skip_connect~1|nor_conv_1x1~2|", ops[i%4], ops[i/4%4], ops[i/16%4])
		if refused := d.Candidate(&c, fmt.Appendf(nil, `{"space":"nb201","id":%d,"arch":%q}`, i, arch)); refused != nil {
			t.Fatal(refused)
		}
		c.Append(int64(i), 0, nil, nil)
		l.Observe(&c, i)
		l.Label(schemas.Label{Space: "nb201", Task: "acc", Value: float64(i%4 + i/16), ID: fmt.Append(nil, i)})
	}
	progress, err := l.Work(t.Context())
	if err != nil || progress.Challenger == nil || !progress.Challenger.Promoted {
		t.Fatalf("no promotion: %+v, %v", progress, err)
	}
	return l, progress.Challenger
}

func written(t *testing.T, m *encoders.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestKilledBetweenCheckpointAndModel(t *testing.T) {
	p, err := Open(t.Context(), settings(t), telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for _, at := range []string{checkpointFolder, registryFolder} {
		t.Run(at, func(t *testing.T) {
			store := p.store
			tr, err := p.openTrainer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l, c := promotion(t, tr)
			p.store = killed{store, at}
			p.registry.store, tr.log.store = p.store, p.store
			if err := tr.decide(t.Context(), l, c, 0); !errors.Is(err, errKilled) {
				t.Fatalf("the promotion ended with %v, want it killed", err)
			}
			tr.table.Close()

			p.store = store
			if p.registry, err = OpenRegistry(t.Context(), store); err != nil {
				t.Fatal(err)
			}
			if p.registry.Manifest().Spaces["nb201"].Model != "" {
				t.Fatal("a model was published although its trainer was killed before")
			}
			next, err := p.openTrainer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer next.table.Close()
			model := p.registry.Manifest().Spaces["nb201"].Model
			if at == checkpointFolder {
				if model != "" || len(next.stage.Learners()) != 0 {
					t.Errorf("model %q without a checkpoint that knows of it", model)
				}
				return
			}
			if model != c.Model.Name() || len(next.stage.Learners()) != 1 {
				t.Fatalf("model %q is published, want %s of the checkpoint", model, c.Model.Name())
			}
			if got := next.stage.Learners()[0].Champion(); got == nil || !bytes.Equal(written(t, got), written(t, c.Model)) {
				t.Error("the champion after the kill differs from the one before")
			}
			if len(next.promoted) != 0 {
				t.Errorf("%d models wait to be published again", len(next.promoted))
			}
		})
	}
}
