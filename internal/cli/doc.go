// Package cli reads the settings of a program into a struct: from the command
// line, the environment, a file that the caller has read, and defaults, in this
// order of precedence.
//
// Exported fields are flags, fields of a struct tagged cmd are commands, and an
// embedded struct is the same as its fields. Tags of a field:
//
//	help         its purpose
//	name         its name, which otherwise is that of the field: TableRows is --table-rows
//	default      its value when nothing sets it
//	enum         the values that are accepted, parted by commas
//	placeholder  the value's name in the help
//	required     a flag that must be given
//	negatable    a switch that --no-NAME turns off
//	arg          an argument instead of a flag; optional is one that may be missing
//	cmd          a command
//	cli:"-"      no setting
//
// A field is a bool, a number, a string, a time.Duration, a type with
// UnmarshalText, or a slice of these, whose values are parted by commas. Flags may
// be given anywhere after the command that has them.
//
// The package calls no method by a name that is known at run time only, so that
// the linker may leave out methods without callers.
package cli
