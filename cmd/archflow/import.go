package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/foreign"
	"archflow/internal/input"
	"archflow/internal/progress"
	"archflow/schemas"
)

type importCommand struct {
	Files []string `arg:"" name:"file" help:"ONNX models, DARTS genotypes, NASLib's and NAS-Bench-101's forms, NNI's exports, networkx node-link JSON, CSV with named columns; .gz and .zst too."`
	Space string   `help:"Name of the space of the candidates; without it that of the format, of CSV the name of the file."`
	Label []string `help:"Columns of CSV that are results, for publish labels --task." placeholder:"COLUMN"`
	Proxy []string `help:"Columns of CSV that are zero-cost proxies." placeholder:"COLUMN"`
}

// Run writes the candidates of the files to standard output, a JSON object a
// line, and lists the parts that are left out.
func (i importCommand) Run(_ context.Context, std console.Streams, c *commands) error {
	if err := input.Readable(i.Files); err != nil {
		return err
	}
	out := bufio.NewWriter(std.Out)
	decoder := schemas.NewDecoder(c.Limits())
	written, refused := 0, 0
	for _, name := range i.Files {
		source, err := input.Open(name, std.In)
		if err != nil {
			return err
		}
		file, err := io.ReadAll(source)
		source.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		candidates, left, err := foreign.Read(input.UnpackedName(name), file, foreign.Options{Space: i.Space, Labels: i.Label, Proxies: i.Proxy})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		for n, candidate := range candidates {
			line, err := json.Marshal(candidate)
			if err != nil {
				return errors.Join(fmt.Errorf("%s: architecture %d: %w", name, n, err), out.Flush())
			}
			var row schemas.Candidates
			if r := decoder.Candidate(&row, line); r != nil {
				refused++
				fmt.Fprintf(std.Err, "archflow: %s: architecture %d is left out: %s\n", name, n, r.Reason)
				continue
			}
			written++
			if _, err := out.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		for _, what := range left {
			fmt.Fprintf(std.Err, "archflow: %s: dropped: %s\n", name, what)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "archflow: %s candidates imported\n", progress.Thousands(int64(written)))
	if refused > 0 {
		return fmt.Errorf("%s architectures would be refused and are left out", progress.Thousands(int64(refused)))
	}
	if written == 0 {
		return errors.New("there is no architecture in the files")
	}
	return nil
}
