package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"archflow/schemas"
)

// TestGenerate: generated candidates are of the space, new, distinct, within the
// observed values, and the same for the same question.
func TestGenerate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	nb201 := func(int) string {
		var o [6]string
		for i := range o {
			o[i] = []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}[random.IntN(5)]
		}
		return fmt.Sprintf(`{"space":"nb201","arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`, o[0], o[1], o[2], o[3], o[4], o[5])
	}
	own := func(i int) string {
		return fmt.Sprintf(`{"space":"vit","ops":["input",{"op":"block","heads":%d,"ratio":%g},{"op":"conv","kernel":%d},"output"],"edges":[[0,1],[1,2],[2,3],[0,3]],"hyperparameters":{"depth":%d,"act":"%s"}}`,
			1+random.IntN(8), 1+random.Float64()*3, 3+2*random.IntN(2), 4+random.IntN(8), []string{"gelu", "relu"}[i%2])
	}
	alone := func(int) string {
		return fmt.Sprintf(`{"space":"mlp","hyperparameters":{"width":%d,"rate":%g,"norm":%v}}`, 8<<random.IntN(6), random.Float64()/10, random.IntN(2) == 0)
	}
	chains := func(i int) string { return chain(i, "") }
	edges := func(int) string {
		return fmt.Sprintf(`{"space":"edges","edges":[[0,1],[1,2],[0,2]],"edge_ops":["conv",{"op":"pool","kernel":%d},"conv%d"]}`, random.IntN(9), random.IntN(9))
	}
	for space, make := range map[string]func(int) string{"nb201": nb201, "vit": own, "mlp": alone, "dag": chains, "edges": edges} {
		topics := fakeTopics{}
		for i := range 40 {
			topics[Candidates] = append(topics[Candidates], make(i))
		}
		ask := func() []json.RawMessage {
			o := options()
			o.Topics, o.Networks = topics, 1000
			status, _, body := post(t, New(o), "/api/ask", typeJSON, fmt.Sprintf(`{"space":%q,"task":"acc","n":20,"from":"new","seed":5}`, space))
			var answer struct{ Candidates []json.RawMessage }
			if status != http.StatusOK || json.Unmarshal([]byte(body), &answer) != nil {
				t.Fatal(space, status, body)
			}
			return answer.Candidates
		}
		d := schemas.NewDecoder(schemas.Limits{})
		seen := map[schemas.ID]bool{}
		decode := func(text []byte) schemas.ID {
			var rows schemas.Candidates
			if refused := d.Candidate(&rows, text); refused != nil {
				t.Fatal(space, refused, string(text))
			}
			return rows.Network[0]
		}
		for _, c := range topics[Candidates] {
			seen[decode([]byte(c))] = true
		}
		list := ask()
		if len(list) != 20 {
			t.Errorf("%s: %d of 20", space, len(list))
		}
		for _, c := range list {
			if id := decode(c); seen[id] {
				t.Errorf("%s: %s is not new", space, c)
			} else {
				seen[id] = true
			}
			var m struct {
				ID              string
				Ops             []any
				Hyperparameters map[string]any
			}
			if err := json.Unmarshal(c, &m); err != nil || m.ID == "" {
				t.Fatal(err, string(c))
			}
			for _, op := range m.Ops {
				if block, ok := op.(map[string]any); ok && block["op"] == "block" {
					if heads, ok := block["heads"].(float64); !ok || heads < 1 || heads > 8 || heads != float64(int(heads)) {
						t.Errorf("heads %v", block["heads"])
					}
				}
			}
			if depth, ok := m.Hyperparameters["depth"].(float64); ok && (depth < 4 || depth > 11) {
				t.Errorf("depth %v", depth)
			}
		}
		for i, c := range ask() {
			if string(c) != string(list[i]) {
				t.Errorf("%s: one seed, %s and %s", space, c, list[i])
				break
			}
		}
	}
}

// TestGiven chooses from candidates that come with the question: from them alone, or
// beside those that were published; the network of one that is known counts as known.
func TestGiven(t *testing.T) {
	topics := fakeTopics{}
	for i := range 10 {
		topics[Candidates] = append(topics[Candidates], chain(i, ""))
	}
	ask := func(more string, n int) (status int, ids []string, body string) {
		t.Helper()
		o := options()
		o.Topics, o.Networks = topics, 1000
		status, _, body = post(t, New(o), "/api/ask", typeJSON, fmt.Sprintf(`{"space":"dag","task":"acc","n":%d,"seed":5%s}`, n, more))
		var answer struct {
			Candidates []struct{ ID json.RawMessage }
		}
		if status == http.StatusOK && json.Unmarshal([]byte(body), &answer) != nil {
			t.Fatal(body)
		}
		for _, c := range answer.Candidates {
			ids = append(ids, string(c.ID))
		}
		return status, ids, body
	}
	known := topics[Candidates][3]
	mine := `{"space":"dag","id":"mine","ops":["input","a","b","c","d","e","output"],"edges":[[0,1],[1,2],[2,3],[3,4],[4,5],[5,6]]}`
	again := fmt.Sprintf(`,"candidates":[%s,%s,%s]`, mine, known, mine)
	if status, ids, body := ask(again, 20); status != http.StatusOK || len(ids) != 2 {
		t.Errorf("%d, %q: %s", status, ids, body)
	}
	if status, ids, body := ask(again+`,"from":"both"`, 20); status != http.StatusOK || len(ids) != 11 {
		t.Errorf("beside the published: %d, %q: %s", status, ids, body)
	}
	if status, ids, body := ask(`,"candidates":[]`, 20); status != http.StatusOK || len(ids) != 0 {
		t.Errorf("none given: %d, %q: %s", status, ids, body)
	}
	for _, more := range []string{
		again + `,"from":"known"`,
		`,"candidates":[{"space":"dag","ops":[]}]`,
		`,"candidates":[7]`,
		`,"candidates":7`,
		`,"candidates":[{"space":"vit","hyperparameters":{"depth":3}}]`,
	} {
		if status, _, body := ask(more, 20); status != http.StatusBadRequest || !json.Valid([]byte(body)) || strings.Contains(body, "Go struct") {
			t.Errorf("%s: %d, %s", more, status, body)
		}
	}
}
