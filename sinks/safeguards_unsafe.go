//go:build crashunsafe

package sinks

import "os"

// One safeguard is left out, by name, in a binary that only the crash tests
// build.
var (
	withoutPositions = os.Getenv("ARCHFLOW_WITHOUT") == "positions"
	withoutFencing   = os.Getenv("ARCHFLOW_WITHOUT") == "fencing"
	withoutDrop      = os.Getenv("ARCHFLOW_WITHOUT") == "drop"
)
