package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// fromEnv returns a number that a variable of the environment sets.
func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text, set := os.LookupEnv(name)
	if !set {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(name, ": ", err)
	}
	return n
}

// TestEndToEndTrainerKills kills the trainer's process at random moments, KILLS times,
// and compares the weights with those of a trainer that lives: the last
// checkpoint and every model, byte for byte.
//
// The input comes in rounds, one fetch each, and a round begins when the work of
// the one before is done, so that both trainers are given it in the same order.
// What they do in between takes as long as it takes.
func TestEndToEndTrainerKills(t *testing.T) {
	kills, seed := int(fromEnv(t, "KILLS", 3)), fromEnv(t, "SEED", rand.Uint64())
	t.Run("embedded", func(t *testing.T) { trainerKills(t, "", kills, seed) })
	if kills > 10 { // a killed member keeps the partition for ten seconds
		t.Run("kafka", func(t *testing.T) { trainerKills(t, kafkatest.Real(t), kills/5, seed) })
	}
}

func trainerKills(t *testing.T, address string, kills int, seed uint64) {
	t.Logf("SEED=%d repeats the delays of %d kills", seed, kills)
	r := rand.New(rand.NewPCG(seed, 5))
	rounds := inRounds(t, 4+kills/10)
	lives, dies := pupil(t, address, "one."), pupil(t, address, "two.")
	done := 0
	for i, round := range rounds {
		lives.ok(round...)
		began := time.Now()
		lives.ok("run", "--role", "trainer", "--exit-at-end")
		took := time.Since(began)

		dies.ok(round...)
		for quota := kills * (i + 1) / len(rounds); done < quota; done++ {
			p := dies.start("run", "--role", "trainer", "--exit-at-end")
			select {
			case <-p.done:
				if p.status != 0 {
					t.Fatalf("round %d: the trainer ended with status %d", i, p.status)
				}
				done-- // too late
				took /= 2
			case <-time.After(time.Duration(r.Float64() * float64(took))):
				p.kill()
			}
		}
		dies.ok("run", "--role", "trainer", "--exit-at-end")
	}
	want, got := lives.learnt(), dies.learnt()
	if len(want) < 3 {
		t.Errorf("a checkpoint and models: %d files, too few to show anything", len(want))
	}
	differ := 0
	for name, data := range want {
		if !bytes.Equal(data, got[name]) {
			t.Errorf("%s differs after %d kills: %d bytes and %d", name, done, len(data), len(got[name]))
			differ++
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files after %d kills, and %d without", len(got), done, len(want))
	}
	t.Logf("%d kills; %d files compared, %d differ", done, len(want), differ)
}

// pupil is an installation of a trainer that stores as often as it may. The
// names of two that share a broker are of one length.
func pupil(t *testing.T, address, name string) *installation {
	in := install(t, address)
	if address != "" {
		in.prefix += name
		in.set("TOPIC_PREFIX", in.prefix)
		in.set("GROUP", in.prefix+"group")
	}
	in.set("PARTITIONS", "1")
	in.set("EPOCHS", "6")
	in.set("BUFFER", "600")
	in.set("CHECKPOINT", "1s")
	return in
}

// inRounds cuts the benchmark into candidates and labels, in turn: the arguments
// of the commands that publish them.
func inRounds(t *testing.T, n int) (rounds [][]string) {
	t.Helper()
	lines := rows(t)
	dir := t.TempDir()
	for i := range n {
		name, size := filepath.Join(dir, fmt.Sprintf("%d.jsonl", i)), 250
		publish := []string{"publish", "candidates", name}
		if i%2 == 1 {
			size = 24
			publish = []string{"publish", "labels", name, "--task", "accuracy"}
		}
		text := bytes.Join(lines[:size], []byte("\n"))
		lines = lines[size:]
		if err := os.WriteFile(name, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		rounds = append(rounds, publish)
	}
	return rounds
}

// learnt returns the files of a trainer in the store: its last checkpoint and
// all models.
func (in *installation) learnt() map[string][]byte {
	in.t.Helper()
	store := filepath.Join(in.data, "store")
	files := map[string][]byte{}
	checkpoints, err := filepath.Glob(filepath.Join(store, "checkpoints", "*.bin"))
	if err != nil || len(checkpoints) == 0 {
		in.t.Fatal("no checkpoint: ", err)
	}
	models, err := filepath.Glob(filepath.Join(store, "models", "*", "*.safetensors"))
	if err != nil {
		in.t.Fatal(err)
	}
	for _, path := range append(models, slices.Max(checkpoints)) {
		data, err := os.ReadFile(path)
		if err != nil {
			in.t.Fatal(err)
		}
		name, _ := filepath.Rel(store, path)
		if strings.HasPrefix(name, "checkpoints") {
			// Without its checksum, for on one broker the topics' names differ.
			parts := bytes.SplitN(data, []byte("\n"), 3)
			name, data = "the last checkpoint", bytes.ReplaceAll(parts[len(parts)-1], []byte(in.prefix), []byte("prefix."))
		}
		files[name] = data
	}
	return files
}
