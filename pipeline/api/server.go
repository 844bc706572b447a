package api

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"archflow/schemas"
	"archflow/stages"
)

// Options are the parts of a process that a server answers with. This process does not
// serve requests for nil parts and says so.
type Options struct {
	Limits    schemas.Limits
	Models    stages.Models
	Stages    func() []stages.Stage // from messages to predictions, as in the stream
	Surrogate bool                  // predictions carry the flow surrogate
	Topics    Topics
	Networks  int // that the catalogue of a space holds
	Publisher Publisher
	History   History
	Meter     Meter
}

// Meter counts requests.
type Meter interface {
	// Request records one that was answered.
	Request(ctx context.Context, route string, status int, took time.Duration)
	// Rejected counts elements of batches, and whole requests, by the class of their
	// error.
	Rejected(class string, n int)
}

// unmeasured is the Meter of a server without one.
type unmeasured struct{}

func (unmeasured) Request(context.Context, string, int, time.Duration) {}
func (unmeasured) Rejected(string, int)                                {}

// Server is the handler of /api/.
type Server struct {
	mux       *http.ServeMux
	predictor *predictor
	catalogue *catalogue
	publisher Publisher
	history   History
	meter     Meter
	routes    []route
	decoders  sync.Pool // of *schemas.Decoder
	room      *semaphore.Weighted
	patience  time.Duration // of a request for its turn
}

// route is a path and who answers it.
type route struct {
	method, path string
	serve        func(http.ResponseWriter, *http.Request) error
}

// roomForBodies bounds the bodies that are in memory at one time, as bytes.
const roomForBodies = 4 * MaxBody

// New returns a handler of everything under /api/ that programs ask for.
func New(o Options) *Server {
	s := &Server{mux: http.NewServeMux(), publisher: o.Publisher, history: o.History, room: semaphore.NewWeighted(roomForBodies), patience: 10 * time.Second}
	if s.meter = o.Meter; s.meter == nil {
		s.meter = unmeasured{}
	}
	s.decoders.New = func() any { return schemas.NewDecoder(o.Limits) }
	if o.Stages != nil {
		s.predictor = &predictor{lines: make(chan line, runtime.GOMAXPROCS(0)), newLine: o.Stages, models: o.Models, surrogate: o.Surrogate}
		for range cap(s.predictor.lines) {
			s.predictor.lines <- o.Stages()
		}
	}
	if o.Topics != nil {
		s.catalogue = newCatalogue(o.Topics, o.Networks, o.Limits)
	}
	s.routes = []route{
		{"POST", "/api/predict", s.servePredict},
		{"POST", "/api/candidates", s.servePublish(Candidates)},
		{"POST", "/api/labels", s.servePublish(Labels)},
		{"POST", "/api/ask", s.serveAsk},
		{"GET", "/api/best", s.serveBest},
		{"GET", "/api/front", s.serveFront},
		{"GET", "/api/models", s.serveModels},
		{"GET", "/api/board", s.serveBoard},
		{"GET", "/api/openapi.json", serveOpenAPI},
	}
	for _, route := range s.routes {
		s.mux.Handle(route.method+" "+route.path, s.traced(route.method+" "+route.path, route.serve))
		s.mux.HandleFunc(route.path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", route.method)
			fail(w, refuse(http.StatusMethodNotAllowed, ClassMethod, "use "+route.method, "%s does not take %s", route.path, r.Method))
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, refuse(http.StatusNotFound, ClassNotFound, "GET /api/openapi.json lists what there is", "there is no %.200s", r.URL.Path))
	})
	return s
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// traced gives a request its share of memory and a span that continues the
// client's trace.
func (s *Server) traced(name string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := otel.Tracer("archflow").Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		began, status := time.Now(), http.StatusOK
		defer func() { s.meter.Request(ctx, name, status, time.Since(began)) }()
		err := s.admit(ctx, r, func() error { return serve(w, r.WithContext(ctx)) })
		if err == nil {
			return
		}
		e := describe(err)
		status = e.Status
		s.meter.Rejected(e.Class, 1)
		span.SetAttributes(attribute.Int("http.response.status_code", e.Status), attribute.String("error.type", e.Class))
		if e.Status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, e.Message)
		}
		fail(w, e)
	})
}

// admit runs serve once there is room for the request's body, and refuses when there is
// none for a while: a client that gets a refusal slows down, one that is left waiting
// only adds to the queue.
func (s *Server) admit(ctx context.Context, r *http.Request, serve func() error) error {
	if r.Method == http.MethodGet {
		return serve()
	}
	size := r.ContentLength
	if size < 0 || size > MaxBody {
		size = MaxBody - 1 // of unknown length, or to be refused
	}
	turn, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if err := s.room.Acquire(turn, size+1); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return refuse(http.StatusServiceUnavailable, ClassBusy, "send fewer requests at once, or smaller ones, and this one again", "other requests took up the room for %v", s.patience)
		}
		return err
	}
	defer s.room.Release(size + 1)
	return serve()
}
