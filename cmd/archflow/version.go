package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"archflow/cmd/archflow/console"
	"archflow/internal/finite"
)

// version is set by the release build; a build from source says its commit.
var version = "0.1.0"

type versionCommand struct{}

// Run prints the version, the commit and the toolchain.
func (versionCommand) Run(_ context.Context, std console.Streams, c *commands) error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	if c.JSON {
		return finite.Encode(std.Out, map[string]string{
			"version": version, "commit": commit, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(std.Out, "archflow %s (commit %s, %s, %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
