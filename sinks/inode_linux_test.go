package sinks

import (
	"io/fs"
	"syscall"
)

// inodeOf returns a file's number, 0 when there is none.
func inodeOf(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
