package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/schemas"
	"archflow/stages"
)

// rowsOfBatch is how many candidates go through the stages at once: enough for
// the vectorised passes, few enough for all cores to have some.
const rowsOfBatch = 256

// line is the stages of the stream, for one goroutine.
type line []stages.Stage

// predictor answers candidates by the stages of the stream and publishes
// nothing. Its lines bound how much is computed at once; requests share them.
type predictor struct {
	lines     chan line
	newLine   func() []stages.Stage
	models    stages.Models
	surrogate bool // predictions carry the flow surrogate
}

// servePredict answers the candidates of a request, in order, all by the models
// that answer when it begins.
func (s *Server) servePredict(w http.ResponseWriter, r *http.Request) error {
	if s.predictor == nil {
		return refuse(http.StatusNotImplemented, ClassRole, "ask a process of the group with --role all or worker", "this process trains and answers no candidates")
	}
	wait, err := parseWait(r.URL.Query())
	if err != nil {
		return err
	}
	e, err := readElements(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if wait.learnt != nil {
		if err := s.await(ctx, wait, spacesOf(e.list)); err != nil {
			return err
		}
	}
	answers, err := s.predictor.answer(ctx, e.list)
	if err != nil {
		return err
	}
	if e.form == single && answers.first != nil {
		return answers.first
	}
	for _, class := range answers.rejected {
		s.meter.Rejected(class, 1)
	}
	writeAnswers(w, e.form, answers.parts)
	return nil
}

// answers are the lines of an answer, in the order of the elements.
type answers struct {
	parts    [][]byte // JSON Lines, one part a batch
	rejected []string // classes of the elements that were rejected
	first    *Error   // of the first element that was rejected
}

// answer answers candidates by the newest models.
func (p *predictor) answer(ctx context.Context, candidates [][]byte) (answers, error) {
	generation, err := p.models.ModelSet(ctx, schemas.NewestRegistry)
	if err != nil {
		return answers{}, err
	}
	return p.answerBy(ctx, candidates, generation.Version)
}

// answerBy takes candidates through the stages, batch by batch, on all lines that
// are free, with the models of a version of the registry.
func (p *predictor) answerBy(ctx context.Context, candidates [][]byte, version int64) (answers, error) {
	n := (len(candidates) + rowsOfBatch - 1) / rowsOfBatch
	out := answers{parts: make([][]byte, n)}
	refused := make([]answers, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(p.lines))
	now := time.Now().UnixMilli()
	for i := range n {
		group.Go(func() (err error) {
			first := i * rowsOfBatch
			rows := candidates[first:min(first+rowsOfBatch, len(candidates))]
			out.parts[i], refused[i], err = p.batch(ctx, rows, version, now)
			return err
		})
	}
	err := group.Wait()
	var fault *panicked
	if errors.As(err, &fault) {
		panic(fault) // on the goroutine of the request
	}
	if err != nil {
		return answers{}, err
	}
	for i := range refused {
		out.rejected = append(out.rejected, refused[i].rejected...)
		if out.first == nil {
			out.first = refused[i].first
		}
	}
	return out, nil
}

// panicked is a panic of a stage.
type panicked struct {
	value any
	stack []byte
}

// Error says with what, and where.
func (p *panicked) Error() string { return fmt.Sprintf("%v, at %s", p.value, p.stack) }

// batch takes one batch through one line and returns its answers as lines.
func (p *predictor) batch(ctx context.Context, candidates [][]byte, version, now int64) (text []byte, refused answers, err error) {
	b, err := p.process(ctx, candidates, version, now)
	if err != nil {
		return nil, refused, err
	}
	defer b.Rows.Release()
	c, predictions := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
	var surrogates *schemas.Surrogates
	if p.surrogate {
		s := schemas.ViewSurrogates(b.Rows)
		surrogates = &s
	}
	text = make([]byte, 0, 512*len(candidates))
	row := 0
	rejects := b.Rejects
	for i := range candidates {
		if len(rejects) > 0 && rejects[0].Offset == int64(i) {
			e := rejected(rejects[0].Class, rejects[0].Reason)
			refused.rejected = append(refused.rejected, e.Class)
			if refused.first == nil {
				refused.first = e
			}
			rejects = rejects[1:]
			line, err := json.Marshal(e)
			if err != nil {
				return nil, refused, err
			}
			text = append(text, line...)
		} else {
			text = schemas.AppendPrediction(text, &c, surrogates, &predictions, row, schemas.TopicPartition{})
			row++
		}
		text = append(text, '\n')
	}
	return text, refused, nil
}

// process returns a batch of candidates with their predictions; offsets are
// places in candidates. The caller releases its rows.
func (p *predictor) process(ctx context.Context, candidates [][]byte, version, now int64) (_ *schemas.Batch, err error) {
	var m schemas.Messages
	for i, c := range candidates {
		m.Append(int64(i), now, nil, nil)
		m.Value.Append(c)
	}
	b := &schemas.Batch{Next: int64(len(candidates)), Registry: version, Rows: m.Record()}
	var l line
	select {
	case l = <-p.lines:
	case <-ctx.Done():
		b.Rows.Release()
		return nil, ctx.Err()
	}
	defer func() {
		if value := recover(); value != nil {
			l = p.newLine() // a panic may have left the other one in any state
			err = &panicked{value, debug.Stack()}
		}
		p.lines <- l
	}()
	for _, stage := range l {
		if err := stage.Process(ctx, b); err != nil {
			b.Rows.Release()
			return nil, err
		}
	}
	return b, nil
}

// writeAnswers writes lines in the form of the request.
func writeAnswers(w http.ResponseWriter, f form, parts [][]byte) {
	if f == lines {
		w.Header().Set("Content-Type", typeLines)
	} else {
		w.Header().Set("Content-Type", typeJSON)
	}
	write := func(b []byte) { _, _ = w.Write(b) } // the client may have gone: nobody could get an error
	if f == array {
		write([]byte{'['})
	}
	for i, part := range parts {
		if f == array {
			if i > 0 {
				write([]byte{','})
			}
			// A newline within a string is escaped, so that these are the ends.
			part = part[:len(part)-1]
			for at := 0; ; {
				end := bytes.IndexByte(part[at:], '\n')
				if end < 0 {
					break
				}
				part[at+end] = ','
				at += end + 1
			}
		}
		write(part)
	}
	if f == array {
		write([]byte("]\n"))
	}
}
