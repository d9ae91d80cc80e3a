package api

import (
	"context"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// fakeTarget holds users, in memory, and can do nothing beside purging.
type fakeTarget struct {
	name string
	// step is called before each removal, unless nil.
	step func(ctx context.Context)

	mu    sync.Mutex
	users map[string]int64 // by tenant
}

// Name implements [purge.Target].
func (f *fakeTarget) Name() string { return f.name }

// Kinds implements [purge.Target].
func (f *fakeTarget) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

// Count implements [purge.Target].
func (f *fakeTarget) Count(_ context.Context, tenant string, _ store.Kind) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.users[tenant], nil
}

// Purge implements [purge.Target].
func (f *fakeTarget) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	if f.step != nil {
		f.step(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(f.users[r.TenantID], int64(r.Limit))
	f.users[r.TenantID] -= n
	return purge.Removed{Deleted: n, More: f.users[r.TenantID] > 0}, nil
}

// ableTarget can do everything that a target can, and fails at it when told to.
type ableTarget struct {
	fakeTarget
	down  error
	found []purge.Finding
	inits int
	// paying is how many subscriptions each tenant has.
	paying int64
}

// Check implements [purge.Checker].
func (f *ableTarget) Check(context.Context) error { return f.down }

// Diagnose implements [purge.Doctor].
func (f *ableTarget) Diagnose(context.Context) ([]purge.Finding, error) { return f.found, f.down }

// Init implements [purge.Initializer].
func (f *ableTarget) Init(context.Context) error {
	f.inits++
	return f.down
}

// CountsSubscriptions implements [purge.SubscriptionCounter].
func (*ableTarget) CountsSubscriptions() bool { return true }

// ActiveSubscriptions implements [purge.SubscriptionCounter].
func (f *ableTarget) ActiveSubscriptions(context.Context, string) (int64, error) {
	return f.paying, f.down
}

// withTargets makes targets those of the engine and the server. A window, by name,
// is when one may be purged.
func withTargets(t *testing.T, windows map[string]string, targets ...purge.Target) func(*Options) {
	t.Helper()
	var guarded []*purge.GuardedTarget
	var all []purge.Target
	for _, v := range targets {
		p := purge.DefaultPolicy()
		var err error
		if p.Window, err = purge.ParseWindow(windows[v.Name()]); err != nil {
			t.Fatal(err)
		}
		g, err := purge.Guarded(v, p, purge.GuardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		guarded, all = append(guarded, g), append(all, g)
	}
	return func(o *Options) {
		s := purge.DefaultSettings()
		s.Batch = 1
		e, err := purge.New(purge.Options{Store: o.Store, Targets: all, Settings: s})
		if err != nil {
			t.Fatal(err)
		}
		o.Engine, o.Targets = e, guarded
	}
}

// fakeSource says what a test lets it say.
type fakeSource struct {
	rows []purge.SourceRow
	err  error
	wait func() // called before each answer, unless nil
}

// Name implements [purge.Source].
func (*fakeSource) Name() string { return "directory" }

// Tenants implements [purge.Source].
func (f *fakeSource) Tenants(_ context.Context, yield func(purge.SourceRow) error) error {
	if f.wait != nil {
		f.wait()
	}
	for _, r := range f.rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return f.err
}

// Tenant implements [purge.Source].
func (f *fakeSource) Tenant(_ context.Context, id string) (purge.SourceTenant, error) {
	for _, r := range f.rows {
		if r.Tenant.ID == id {
			return r.Tenant, r.Err
		}
	}
	return purge.SourceTenant{}, store.Errorf(store.NotFound, "tenant %q is not there", id)
}

// activeRows returns rows of tenants that are active.
func activeRows(ids ...string) []purge.SourceRow {
	var rows []purge.SourceRow
	for _, id := range ids {
		rows = append(rows, purge.SourceRow{Tenant: purge.SourceTenant{ID: id, Status: store.StatusActive}})
	}
	return rows
}

// withSource has a server sync a source. What changes more than one tenant, or a
// fifth of them, needs a person.
func withSource(t *testing.T, src purge.Source, change ...func(*purge.SyncSettings)) func(*Options) {
	t.Helper()
	return func(o *Options) {
		s := purge.DefaultSyncSettings()
		s.Floor = 1
		for _, c := range change {
			c(&s)
		}
		var err error
		if o.Syncer, err = purge.NewSyncer(purge.SyncOptions{Store: o.Store, Source: src, TempDir: t.TempDir(), Settings: s}); err != nil {
			t.Fatal(err)
		}
	}
}
