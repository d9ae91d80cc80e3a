//go:build long

package prometheus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// program is a program that embeds the engine, with two targets of its own. The
// daemon has none, so what is measured of targets comes from here.
type program struct {
	store          *boltstore.Store
	engine         *purge.Engine
	address        string
	crm, directory *system
}

// newProgram returns a program that has made a first pass.
func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{
		store: openStore(t, t.TempDir()),
		crm:   &system{name: "crm", users: map[string]int64{}}, directory: &system{name: "directory", users: map[string]int64{}},
	}
	reg := metrics.NewRegistry()
	m := metrics.New(reg, metrics.Build{Version: "embedded"})
	m.WatchStore(p.store)
	m.ConfigReloaded(true, time.Now())
	s := purge.DefaultSettings()
	s.BackoffInitial, s.BackoffMax = time.Second, time.Second
	var err error
	p.engine, err = purge.New(purge.Options{Store: p.store, Targets: []purge.Target{p.crm, p.directory}, Metrics: m, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.address = strings.TrimPrefix(srv.URL, "http://")
	p.pass(t)
	return p
}

// leave registers a tenant that has left long ago, with users in both targets.
func (p *program) leave(t *testing.T, id string) {
	t.Helper()
	past := store.Origin{Actor: store.Actor{ID: "support"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	if _, err := p.store.Create(t.Context(), store.Tenant{ID: id}, past); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Update(t.Context(), id, store.Update{Origin: past, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
		t.Fatal(err)
	}
	p.crm.add(id, 3)
	p.directory.add(id, 2)
}

// pass makes a pass.
func (p *program) pass(t *testing.T) {
	t.Helper()
	if _, err := p.engine.Run(t.Context(), purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
}

// finish makes passes until a tenant is gone.
func (p *program) finish(t *testing.T, id string) {
	t.Helper()
	deploytest.Eventually(t, 200*time.Millisecond, func() string {
		p.pass(t)
		_, err := p.store.Tenant(t.Context(), id)
		if store.CodeOf(err) == store.Gone {
			return ""
		}
		return fmt.Sprintf("tenant %s is not purged: %v", id, err)
	})
}

// system is a target that holds users. It implements [purge.Target].
type system struct {
	name string

	mu         sync.Mutex
	down, lies bool
	err        error // of every removal
	users      map[string]int64
}

// be makes the system one that is down, or one that reports what it has not done.
func (s *system) be(down, lies bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.lies = down, lies
}

func (s *system) add(tenantID string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[tenantID] += n
}

func (s *system) Name() string { return s.name }

func (s *system) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

func (s *system) Count(_ context.Context, tenantID string, _ store.Kind) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, store.Errorf(store.Unavailable, "connection refused")
	}
	return s.users[tenantID], nil
}

func (s *system) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return purge.Removed{}, s.err
	}
	n := min(int64(r.Limit), s.users[r.TenantID])
	if !s.lies {
		s.users[r.TenantID] -= n
	}
	return purge.Removed{Deleted: n}, nil
}

// openStore opens a store, until the test ends at the latest.
func openStore(t *testing.T, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // what was closed before says so
	return s
}

// inStore works on a store that no daemon serves.
func inStore(t *testing.T, dir string, work func(*boltstore.Store)) {
	t.Helper()
	s := openStore(t, dir)
	work(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// failForGood makes passes over a store in which everything that is due fails:
// there is a target that refuses.
func failForGood(t *testing.T, s *boltstore.Store) {
	t.Helper()
	refusing := &system{name: "crm", err: purge.Permanent(store.Errorf(store.Forbidden, "the token may not delete"))}
	e, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{refusing}, Settings: purge.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
}

// fill gives a new tenant that is due n megabytes of users.
func fill(t *testing.T, s *boltstore.Store, id string, n int) {
	t.Helper()
	ctx, o := t.Context(), store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
	at := store.Trim(o.At.Add(-time.Hour))
	tenant := store.Tenant{
		ID: id, Status: store.StatusDisabled, DisabledAt: at.Add(-30 * 24 * time.Hour), PurgeAfterDays: 30, EstimatedPurgeDate: at,
	}
	if err := s.BeginImport(ctx, store.Import{Digest: "fill"}, o); err != nil {
		t.Fatal(err)
	}
	data := []byte(`{"photo":"` + strings.Repeat("x", 62<<10) + `"}`)
	b := store.Batch{Tenants: []store.Tenant{tenant}}
	for i := range n {
		for j := range 16 {
			b.Resources = append(b.Resources, store.Resource{
				TenantID: id, Kind: store.KindUser, ID: fmt.Sprintf("u-%06d-%02d", i, j), Data: data,
			})
		}
		if i%16 != 15 && i != n-1 {
			continue
		}
		if _, err := s.ImportBatch(ctx, b, o); err != nil {
			t.Fatal(err)
		}
		b = store.Batch{}
	}
	if err := s.EndImport(ctx, o); err != nil {
		t.Fatal(err)
	}
}
