package micro

import (
	"fmt"
	"strconv"
	"strings"
)

// parse reads the notation; the numbering stays as given. An error names the reason
// why the text is no cell of this space.
func parse(arch string) (Architecture, error) {
	bad := func(format string, args ...any) (Architecture, error) {
		return Architecture{}, fmt.Errorf("micro architecture %.80q: %s", arch, fmt.Sprintf(format, args...))
	}
	parts := strings.Split(arch, "|")
	if len(parts) != 3 {
		return bad("want nodes|edges|operations, have %d parts", len(parts))
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || parts[0] != strconv.Itoa(n) || n < MinOperations+2 || n > MaxOperations+2 {
		return bad("want %d to %d nodes with input and output, have %.10q", MinOperations+2, MaxOperations+2, parts[0])
	}
	if len(parts[1]) != n*(n-1)/2 || strings.Trim(parts[1], "01") != "" {
		return bad("want %d digits 0 or 1 for the edges of %d nodes", n*(n-1)/2, n)
	}
	if len(parts[2]) != n-2 || strings.Trim(parts[2], "01234") != "" {
		return bad("want %d digits 0 to %d for the operations", n-2, len(Operations)-1)
	}
	c := newCell(n)
	for i := 1; i < n-1; i++ {
		c.ops[i] = int(parts[2][i-1] - '0')
	}
	bit := 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			c.edges[i][j] = parts[1][bit] == '1'
			bit++
		}
	}
	if !c.connected() {
		return bad("an operation lies on no path from input to output; connect it or leave it out")
	}
	return c.architecture(), nil
}
