package ops

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"archflow/internal/finite"
)

// DefaultAddress is where the server listens when nobody says otherwise.
const DefaultAddress = "127.0.0.1:8099"

// ServerOptions configure a server.
type ServerOptions struct {
	Address string       // HOST:PORT
	Token   string       // asked for everywhere but on /livez and /readyz; needed when Address is not this machine's own
	Hosts   []string     // further names by which requests may call the server
	Pprof   bool         // serve /debug/pprof/
	Scrape  http.Handler // answers /metrics: Telemetry.Scrape
	Health  *Health
	Taps    *Taps // answers /api/tap: Telemetry.Taps; nil for none
	Log     *slog.Logger
}

// Server answers HTTP: the live page, metrics, health, and profiles when they
// are asked for.
type Server struct {
	listener net.Listener
	server   *http.Server
	token    string
	local    bool // listens on loopback only
	hosts    []string
	open     connections
	streams  chan struct{} // a place for each page that is fed
	log      *slog.Logger
	health   *Health
	feed     feed
	predict  predictor
	choose   chooser
	taps     *Taps
	api      atomic.Pointer[http.Handler]
	done     chan struct{} // closed when streams must end
}

// Listen opens the address. It fails with one sentence when the address is in
// use, not this machine's, or open to others without a token; nothing is served
// before Serve.
func Listen(o ServerOptions) (*Server, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("http %q: want HOST:PORT, such as %s, or off", o.Address, DefaultAddress)
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip.IsLoopback()
	if !local && o.Token == "" {
		return nil, fmt.Errorf("http %s can be reached from other machines and so needs a token: set ARCHFLOW_HTTP_TOKEN, or listen on %s", o.Address, DefaultAddress)
	}
	listener, err := net.Listen("tcp", o.Address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("http %s is in use by another program: choose another address with --http HOST:PORT, or --http off", o.Address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("http %s: not permitted; choose a port above 1023", o.Address)
	case err != nil:
		return nil, fmt.Errorf("http %s: %w; choose another address with --http HOST:PORT, or --http off", o.Address, err)
	}
	s := &Server{listener: listener, token: o.Token, local: local, hosts: o.Hosts, streams: make(chan struct{}, maxStreams), log: o.Log, health: o.Health, taps: o.Taps, done: make(chan struct{})}
	s.server = &http.Server{
		Handler:           s.caught(s.guard(s.routes(o))),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         s.open.follow,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Address returns where the server listens, with the port that was given when
// port 0 was asked for.
func (s *Server) Address() string { return s.listener.Addr().String() }

func (s *Server) routes(o ServerOptions) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Scrape)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { s.answerReport(w, r, s.health.Life()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { s.answerReport(w, r, s.health.Readiness()) })
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /api/state", s.serveState)
	mux.HandleFunc("GET /events", s.serveEvents)
	mux.HandleFunc("POST /api/paste", s.servePaste)
	mux.HandleFunc("POST /api/models", s.serveModels)
	mux.HandleFunc("/api/", s.serveAPI)
	if o.Taps != nil {
		mux.HandleFunc("GET /api/tap", s.serveTap)
	}
	if o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// API sets the handler of all paths under /api/ but the page's own.
func (s *Server) API(h http.Handler) { s.api.Store(&h) }

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	if h := s.api.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{
		"error": "this process has not reached its broker and its store yet", "class": "starting", "cure": "ask again once /readyz says so",
	})
}

// Serve answers requests until Shutdown.
func (s *Server) Serve() error {
	err := s.server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("http %s: %w", s.Address(), err)
}

// Shutdown ends the streams, lets open requests finish until ctx ends and then
// closes them.
func (s *Server) Shutdown(ctx context.Context) error {
	close(s.done)
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	// A server that never served has not closed its listener.
	if closeErr := s.listener.Close(); err == nil && !errors.Is(closeErr, net.ErrClosed) {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("http %s: %w", s.Address(), err)
	}
	return nil
}

const cookie = "archflow_token"

// guard lets a request through that may see the answer.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !s.answersTo(r.Host) {
			// A page of another site whose name was made to point here.
			deny(w, r, http.StatusForbidden, "host", s.refuseHost(r.Host), "use an address that it goes by")
			return
		}
		if s.token == "" || r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		// A browser cannot be given a header: /?token=... leaves a cookie.
		if given := r.URL.Query().Get("token"); r.URL.Path == "/" && given != "" && s.knows(given) {
			http.SetCookie(w, &http.Cookie{Name: cookie, Value: given, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if !s.knows(tokenOf(r)) {
			s.failed(r)
			h.Set("WWW-Authenticate", `Bearer realm="archflow"`)
			deny(w, r, http.StatusUnauthorized, "token", "a token is needed", "send Authorization: Bearer TOKEN, or open /?token=TOKEN in a browser; TOKEN is the server's ARCHFLOW_HTTP_TOKEN")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caught answers a request whose handler panics, which is a fault of archflow and costs
// that request alone.
func (s *Server) caught(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value == http.ErrAbortHandler { //nolint:errorlint // a handler panics with it to close the connection
				panic(value)
			}
			s.log.Error("a request has panicked: report it", "method", r.Method, "path", fmt.Sprintf("%.100s", r.URL.Path), "panic", value, "stack", string(debug.Stack()))
			// Where the answer has begun this adds to it, and the client sees that it is none.
			deny(w, r, http.StatusInternalServerError, "internal", "a fault of archflow", "look into the log of the server, and report it")
		}()
		next.ServeHTTP(w, r)
	})
}

// deny answers programs, which ask under /api/, as their other errors are, and
// people with a sentence.
func deny(w http.ResponseWriter, r *http.Request, status int, class, what, cure string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		writeJSON(w, status, map[string]string{"error": what, "class": class, "cure": cure})
		return
	}
	http.Error(w, what+"; "+cure, status)
}

func (s *Server) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// tokenOf returns the token that a request bears, "" without one.
func tokenOf(r *http.Request) string {
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return given
	}
	if c, err := r.Cookie(cookie); err == nil {
		return c.Value
	}
	if r.URL.Path == "/" {
		return r.URL.Query().Get("token")
	}
	return ""
}

// failed logs a wrong token, which may be a guess; a missing one is a browser
// that comes for the first time.
func (s *Server) failed(r *http.Request) {
	if tokenOf(r) != "" {
		s.log.Warn("a request with a wrong token", "from", r.RemoteAddr, "path", fmt.Sprintf("%.100s", r.URL.Path))
	}
}

// answersTo says whether the server goes by a name: on the loopback by that of
// the loopback alone; elsewhere by addresses, names without a domain, those of a
// cluster's services, that of the machine, and those that were given.
func (s *Server) answersTo(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip := net.ParseIP(host)
	if host == "localhost" || ip.IsLoopback() || slices.Contains(s.hosts, host) {
		return true
	}
	if s.local {
		return false
	}
	machine, _ := os.Hostname() // without a name it has none to go by
	return ip != nil || !strings.Contains(host, ".") || host == strings.ToLower(machine) ||
		strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
}

func (s *Server) refuseHost(host string) string {
	if s.local {
		return "this server answers to localhost only"
	}
	return fmt.Sprintf("this server does not go by the name %.100q: use its address, or name it with --http-host", host)
}

// answerReport writes a report as JSON when it is asked for, else as text. A client
// without the required token gets the names of the failing checks and not the reasons,
// which contain addresses and paths.
func (s *Server) answerReport(w http.ResponseWriter, r *http.Request, report Report) {
	if s.token != "" && !s.knows(tokenOf(r)) {
		s.failed(r)
		report = report.withoutReasons()
	}
	status := http.StatusOK
	if !report.OK {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, status, report)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// The client may have gone: nobody could get an error.
	_, _ = w.Write([]byte(report.Text()))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := finite.Marshal(v)
	if err != nil {
		http.Error(w, fmt.Sprintf("the answer could not be written as JSON: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
