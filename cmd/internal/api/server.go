package api

import (
	"context"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// server answers the API.
type server struct {
	Options
	mux         *http.ServeMux
	description http.Handler
	turnstile   turnstile

	// One of each at a time: two imports would open each other's gate, and
	// several backups or checks would fill the disk or starve the passes.
	importing, spooling, checking sync.Mutex
}

// New returns the handler of the whole API, to be served by [NewHTTPServer] or
// [InProcess].
func New(o Options) http.Handler {
	if o.Authenticate == nil {
		o.Authenticate = (&Peers{}).Authenticate
	}
	if o.TempDir == "" {
		o.TempDir = o.DataDir
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	s := &server{Options: o, mux: http.NewServeMux(), description: newDescription(), turnstile: turnstile{limits: o.Limits}}
	s.mux.HandleFunc("/", s.notFound)
	for path, methods := range s.resources() {
		s.mux.Handle(path, methods)
	}
	return observe(s, s.route, o.Logger.Named("api"), zapcore.InfoLevel, o.Metrics)
}

// route returns the label of a request's route, which never has an id in it.
func (s *server) route(r *http.Request) string {
	if r.URL.Path == DescriptionPath {
		return DescriptionPath
	}
	_, pattern := s.mux.Handler(r)
	if res, ok := s.resource(r); ok {
		if _, ok := res.methods[r.Method]; ok {
			return r.Method + " " + pattern
		}
		return pattern
	}
	return unmatched
}

// resource returns what the path of a request names.
func (s *server) resource(r *http.Request) (*resource, bool) {
	h, _ := s.mux.Handler(r) // that of a redirect, for a path with . or .. or // in it
	res, ok := h.(*resource)
	return res, ok
}

// ServeHTTP implements http.Handler. Who calls is asked before anything else, so
// that a stranger learns nothing but what is written in the description, and takes
// no place at the turnstile.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(context.WithValue(r.Context(), remoteKey{}, s.Remote))
	defer s.recover(w, r)
	if r.URL.Path == DescriptionPath {
		s.description.ServeHTTP(w, r)
		return
	}
	caller, err := s.Authenticate(r)
	if err != nil {
		if codeOf(err) == store.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110, section 15.5.2
		}
		fail(w, r, err)
		return
	}
	noteActor(w, caller.Actor)
	if err := s.turnstile.admit(w, caller.Actor.ID, time.Now()); err != nil {
		fail(w, r, err)
		return
	}
	v, err := s.turnstile.enter(w, caller.Actor.ID)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer v.end()
	recorderOf(w).begins = v.leave
	if _, ok := s.resource(r); !ok {
		s.notFound(w, r)
		return
	}
	s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
}

// recover turns the panic of a handler into an answer and a log line. An answer
// that has begun is cut off instead, which its reader sees.
func (s *server) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler {
		s.Logger.Error("a request panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	}
	cut := begun(w) || p == http.ErrAbortHandler
	w.Header().Set("Connection", "close") // what was read of the request is not known
	fail(w, r, store.Errorf(store.Internal, "the request panicked; the log has the details"))
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// notFound answers for a path that names nothing.
func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, r, store.Errorf(store.NotFound, "there is no such path; the API begins with %s", client.Prefix))
}

// origin says that the caller of r makes a change now.
func (r *request) origin() store.Origin {
	return store.Origin{Actor: r.caller.Actor, At: time.Now()}
}
