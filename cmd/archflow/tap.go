package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/remote"
	"archflow/schemas"
)

type tapCommand struct {
	Stage string `arg:"" help:"A stage as the live page names it, such as source, decode, surrogate, predict, 'predictions topic' or labels."`
	Rate  rate   `default:"10/s" help:"Records a second at the most, up to 100/s; the rest passes unseen." placeholder:"N/s"`
	Limit int    `help:"Stop after this many records."`
}

// tapped is a record as a running archflow shows it.
type tapped struct {
	Topic        string          `json:"topic"`
	Partition    int32           `json:"partition"`
	Offset       int64           `json:"offset"`
	Key          string          `json:"key"`
	Value        string          `json:"value"`
	ID           string          `json:"id"`
	Space        string          `json:"space"`
	Architecture string          `json:"architecture"`
	Nodes        int             `json:"nodes"`
	Surrogate    []float32       `json:"surrogate"`
	Prediction   json.RawMessage `json:"prediction"`
	Class        string          `json:"class"`
	Reason       string          `json:"reason"`
}

// Run shows a sample of the records that leave a stage until a signal, --limit
// or the end of the process that is watched.
func (t tapCommand) Run(ctx context.Context, std console.Streams, c *commands) error {
	from, err := remote.New(&c.Config)
	if err != nil {
		return err
	}
	query := url.Values{"stage": {t.Stage}, "rate": {fmt.Sprint(float64(t.Rate))}}
	body, err := from.Get(ctx, "/api/tap?"+query.Encode())
	if err != nil {
		return t.stopped(ctx, err)
	}
	defer body.Close()
	lines := bufio.NewReader(body)
	for n := 0; t.Limit == 0 || n < t.Limit; n++ {
		line, err := lines.ReadBytes('\n')
		switch {
		case ctx.Err() != nil:
			return t.stopped(ctx, err)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the process that is watched has gone: %w", err)
		}
		if !c.JSON {
			if line, err = tapLine(line); err != nil {
				return err
			}
		}
		if _, err := std.Out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// stopped is the result after a signal: an error only if --limit was not reached.
func (t tapCommand) stopped(ctx context.Context, err error) error {
	if t.Limit > 0 {
		return console.InterruptedOr(ctx, err, "fewer records than --limit were shown")
	}
	return console.StoppedOr(ctx, err)
}

// tapLine is a record for people.
func tapLine(line []byte) ([]byte, error) {
	var r tapped
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("the server is not an archflow, or one of another version: %w", err)
	}
	said := []string{fmt.Sprintf("%d/%d", r.Partition, r.Offset)}
	switch {
	case r.Class != "":
		said = append(said, "refused, "+r.Class+": "+r.Reason)
	case r.Architecture == "":
		said = append(said, r.Key, r.Value)
	default:
		said = append(said, r.Space, r.ID, r.Architecture, fmt.Sprintf("%d nodes", r.Nodes))
	}
	if len(r.Surrogate) > 0 {
		said = append(said, fmt.Sprintf("%.3g", r.Surrogate[:min(len(r.Surrogate), 4)]))
	}
	if p, err := schemas.ParsePrediction(r.Prediction); err == nil {
		for _, task := range sortedNames(p.Tasks) {
			if a := p.Tasks[task]; a != nil {
				said = append(said, fmt.Sprintf("%s %s [%s, %s]", task, number(a.Value), number(a.Low), number(a.High)))
			}
		}
		if p.Reason != "" {
			said = append(said, p.Reason)
		}
	}
	return []byte(console.Printable([]byte(strings.Join(said, "  "))) + "\n"), nil
}
