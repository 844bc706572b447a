package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/remote"
	"archflow/internal/finite"
	"archflow/pipeline/inspect"
)

type doctorCommand struct{}

// Run checks everything that a run with this configuration needs and fails when
// something would not work.
func (doctorCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	failed, warned := 0, 0
	var broken error
	show := func(f inspect.Finding) {
		switch f.Status {
		case inspect.FindingFail:
			failed++
		case inspect.FindingWarn:
			warned++
		}
		if err := writeFinding(std.Out, c.JSON, f); err != nil {
			broken = err
		}
	}
	show(processor())
	show(page(ctx, c))
	inspect.Examine(ctx, &c.Config, show)
	switch {
	case broken != nil:
		return broken
	case ctx.Err() != nil:
		return nil //nolint:nilerr // stopped by the user
	case failed > 0:
		return fmt.Errorf("%d checks failed, %d warnings", failed, warned)
	}
	fmt.Fprintf(std.Err, "nothing failed, %d warnings\n", warned)
	return nil
}

func writeFinding(w io.Writer, asJSON bool, f inspect.Finding) error {
	if asJSON {
		return finite.Encode(w, f)
	}
	text := fmt.Sprintf("%-5s %s: %s", f.Status, f.Check, console.Printable([]byte(f.Found)))
	if f.Cure != "" {
		text += "\n      cure: " + f.Cure
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// processor looks for the instructions that the fast kernels use.
func processor() inspect.Finding {
	f := inspect.Finding{Check: "processor", Status: inspect.FindingOK}
	cores := fmt.Sprintf("%s, %d cores for archflow", runtime.GOARCH, runtime.GOMAXPROCS(0))
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		f.Found = cores + ", AVX-512, AVX2 and FMA"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		f.Found = cores + ", AVX2 and FMA"
	default:
		f.Status, f.Found = inspect.FindingWarn, cores+", without AVX2 and FMA"
		f.Cure = "none is needed: the plain kernels give the same predictions, several times slower"
	}
	return f
}

// page asks an archflow that runs at the address of this configuration whether
// it is ready.
func page(ctx context.Context, c *commands) inspect.Finding {
	f := inspect.Finding{Check: "http", Status: inspect.FindingOK}
	if c.HTTP == "off" {
		f.Found = "off"
		return f
	}
	from, err := remote.New(&c.Config)
	if err != nil {
		f.Status, f.Found, f.Cure = inspect.FindingFail, err.Error(), "give --http HOST:PORT"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := from.Get(ctx, "/readyz")
	var refused *remote.StatusError
	switch {
	case err == nil:
		body.Close()
		f.Found = "archflow runs at " + from.Base + " and is ready"
	case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable:
		f.Status, f.Found = inspect.FindingWarn, "archflow runs at "+from.Base+" and is not ready: "+strings.ReplaceAll(refused.Text, "\n", "; ")
		f.Cure = "each check that is not ok names its own"
	case errors.As(err, &refused):
		f.Status, f.Found, f.Cure = inspect.FindingFail, "another program answers at "+from.Base, "give another --http HOST:PORT"
	default:
		f.Found = "no archflow runs at " + from.Base
	}
	return f
}
