//go:build !crashunsafe

package sinks

// The safeguards that the crash tests leave out one at a time, to show that they notice.
// They are constants here: no setting reaches them, and the compiler removes their
// branches.
const (
	withoutPositions = false // positions travel in the transaction of their output
	withoutFencing   = false // who comes late is refused
	withoutDrop      = false // a sink drops rows below its position
)
