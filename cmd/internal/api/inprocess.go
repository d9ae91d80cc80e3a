package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/tenantpurge/purger/purge/client"
)

// Local is a transport to a handler in the same process.
type Local struct {
	*http.Transport
	server *http.Server
	served chan struct{} // closed when the server has ended

	mu       sync.Mutex
	closed   bool           // no request is handled any more
	handling sync.WaitGroup // the requests; added to under mu, unless closed
}

// InProcess returns a transport to a handler in this process: a real server and
// a real client over pipes, so that streaming, deadlines and cancellation work
// as they do over a socket. The peer is this process. Close it after use.
func InProcess(h http.Handler) *Local {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	local := &Local{
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) },
			DisableCompression: true,
		},
		served: make(chan struct{}),
	}
	local.server = NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local.begin() {
			defer local.handling.Done()
			h.ServeHTTP(w, r)
		}
	}), nil)
	go func() {
		defer close(local.served)
		_ = local.server.Serve(l) // always ErrServerClosed: pipeListener has no other error
	}()
	return local
}

// Close ends the server and cuts off the calls under way, and returns once no
// handler is at work any more. Closing again does nothing.
func (l *Local) Close() error {
	l.CloseIdleConnections()
	err := l.server.Close()
	<-l.served
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.handling.Wait()
	return err
}

// begin reports whether a request may be handled, and counts it if so.
func (l *Local) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.handling.Add(1)
	}
	return !l.closed
}

// pipeListener hands the other end of each dialled pipe to its server.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// dial makes a pipe and waits until the server takes it.
func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	var err error
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		err = errors.Join(client.ErrNotReachable, net.ErrClosed)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	near.Close()
	far.Close()
	return nil, err
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// pipeAddr is the address of a pipe.
type pipeAddr struct{}

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (pipeAddr) String() string { return "pipe" }
