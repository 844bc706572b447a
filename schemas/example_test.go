package schemas_test

import (
	"fmt"

	"archflow/schemas"
)

// Candidates of a batch are columns; a message that cannot be used adds no row and
// says why.
func ExampleDecoder_Candidate() {
	decoder := schemas.NewDecoder(schemas.Limits{})
	var c schemas.Candidates
	for _, message := range []string{
		`{"space": "dag", "id": "one", "ops": ["input", "conv", "lonely", "output"], "edges": [[0, 1], [1, 3]]}`,
		`{"space": "nb201", "id": 2, "arch": "|none~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"}`,
		`{"space": "dag", "ops": ["input", "output"], "edges": [[0, 1], [1, 0]]}`,
	} {
		if refused := decoder.Candidate(&c, []byte(message)); refused != nil {
			fmt.Println("refused:", refused.Class)
		}
	}
	for i := range c.Space {
		given, _ := c.Graphs.Graph(i)
		live, _ := c.Networks.Graph(i) // on a path from an input to an output
		fmt.Printf("%s %s: %d operations, %d of them live\n", c.NameOf(i, c.Space[i]), c.ID.At(i), len(given), len(live))
	}
	// Output:
	// refused: cycle
	// dag "one": 4 operations, 3 of them live
	// nb201 2: 8 operations, 4 of them live
}
