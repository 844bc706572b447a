package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"archflow/sinks"
)

// OpenTables opens the place of the tables for a command that makes none.
func OpenTables(ctx context.Context, c *Config) (sinks.Bucket, error) {
	return openExisting(ctx, "table", c.TablePlace())
}

func openExisting(ctx context.Context, setting, location string) (sinks.Bucket, error) {
	b, err := sinks.OpenThere(ctx, location)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no folder %s, so that no run has written there; name the place of a run with --%s or --data", setting, location, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return b, nil
}
