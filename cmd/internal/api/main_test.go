package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// rig is a server on a real store, and a client of it.
type rig struct {
	*client.Client
	transport http.RoundTripper // the client's, for requests that it would not make
	store     *boltstore.Store
	engine    *purge.Engine
	options   Options
	handler   http.Handler
	dir       string
	socket    string // "" in process
	// operations: the handler is that of the operations endpoints.
	operations bool
}

// open opens a store in a directory of the test's.
func open(t testing.TB) *boltstore.Store {
	t.Helper()
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Check(context.Background()); err != nil {
			t.Errorf("the store is not sound afterwards: %v", err)
		}
		if err := st.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return st
}

// newRig returns a rig whose client is not connected yet.
func newRig(t testing.TB, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{store: open(t), dir: t.TempDir()}
	settings := purge.DefaultSettings()
	settings.Protected = []string{"protected"}
	settings.ImmediateDelete = purge.DeleteDisabled
	engine, err := purge.New(purge.Options{Store: r.store, Settings: settings})
	if err != nil {
		t.Fatalf("make the engine: %v", err)
	}
	r.engine = engine
	r.options = Options{Store: r.store, Engine: engine, DataDir: r.dir, Version: "1.2.3"}
	for _, f := range change {
		f(&r.options)
	}
	r.handler = New(r.options)
	return r
}

// watched returns the handler as watch does, but for a store of which the
// answers are made up.
func (r *rig) watched(t *testing.T) http.Handler {
	t.Helper()
	_, madeUp := r.options.Store.(*failing)
	switch {
	case madeUp:
		return r.handler
	case r.operations:
		return watchPart(t, r.handler, operationsPart)
	}
	return watch(t, r.handler)
}

// inProcess connects the client within the process.
func (r *rig) inProcess(t *testing.T) *rig {
	t.Helper()
	r.transport = InProcess(r.watched(t))
	r.Client = client.Over(r.transport)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return r
}

// onSocket connects the client through a Unix socket.
func (r *rig) onSocket(t *testing.T) *rig {
	t.Helper()
	r.socket = filepath.Join(r.dir, client.SocketName)
	serve(t, r.watched(t), r.socket)
	r.transport = client.NewTransport(r.socket)
	c := client.Over(r.transport)
	r.Client = c
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return r
}

// serve serves a handler on a Unix socket until the test ends.
func serve(t *testing.T, h http.Handler, path string) net.Listener {
	t.Helper()
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	srv := NewHTTPServer(h, nil)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l
}

// both runs a test over the socket and in process.
func both(t *testing.T, test func(t *testing.T, r *rig), change ...func(*Options)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) { test(t, newRig(t, change...).onSocket(t)) })
	t.Run("in process", func(t *testing.T) { test(t, newRig(t, change...).inProcess(t)) })
}

// create registers tenants; "child/parent" names the parent.
func (r *rig) create(t *testing.T, tenants ...client.NewTenant) {
	t.Helper()
	for _, n := range tenants {
		if _, err := r.Create(t.Context(), n); err != nil {
			t.Fatalf("create %q: %v", n.ID, err)
		}
	}
}

// disable deactivates tenants as if that had been done the given time ago.
func (r *rig) disable(t *testing.T, ago time.Duration, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_, err := r.store.Update(t.Context(), id, store.Update{
			Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now().Add(-ago)},
			Change: store.Deactivate(10, store.DefaultGrace(), nil),
		})
		if err != nil {
			t.Fatalf("disable %q: %v", id, err)
		}
	}
}

// days is a duration of n days.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// wantCode fails the test unless err has the code.
func wantCode(t *testing.T, err error, code store.Code) {
	t.Helper()
	if store.CodeOf(err) != code {
		t.Errorf("error %v has the code %q, want %q", err, store.CodeOf(err), code)
	}
}
