package purge_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// directory is a source in memory.
type directory struct {
	mu   sync.Mutex
	rows []purge.SourceRow // as they are listed
	asks []string          // ids that Tenant was asked for
	// list, unless nil, ends a listing behind that many rows; ask is called
	// ahead of a question.
	list  func(n int) error
	ask   func(ctx context.Context, id string) error
	lists int // snapshots so far
}

func (d *directory) Name() string { return "crm" }

func (d *directory) Tenants(ctx context.Context, yield func(purge.SourceRow) error) error {
	d.mu.Lock()
	rows, list := slices.Clone(d.rows), d.list
	d.lists++
	d.mu.Unlock()
	for i := 0; ; i++ {
		if list != nil {
			if err := list(i); err != nil {
				return err
			}
		}
		if i == len(rows) {
			return ctx.Err()
		}
		if err := yield(rows[i]); err != nil {
			return err
		}
	}
}

func (d *directory) Tenant(ctx context.Context, id string) (purge.SourceTenant, error) {
	d.mu.Lock()
	rows, ask := slices.Clone(d.rows), d.ask
	d.asks = append(d.asks, id)
	d.mu.Unlock()
	if ask != nil {
		if err := ask(ctx, id); err != nil {
			return purge.SourceTenant{}, err
		}
	}
	var found *purge.SourceRow
	for i := range rows {
		if rows[i].Tenant.ID != id {
			continue
		}
		if found != nil {
			return purge.SourceTenant{}, store.Errorf(store.Invalid, "two rows")
		}
		found = &rows[i]
	}
	switch {
	case found == nil:
		return purge.SourceTenant{}, store.Errorf(store.NotFound, "no tenant %q", id)
	case found.Err != nil:
		return purge.SourceTenant{}, store.Errorf(store.Invalid, "%w", found.Err)
	}
	return found.Tenant, nil
}

// set replaces the rows.
func (d *directory) set(rows ...purge.SourceRow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = rows
}

func (d *directory) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(slices.Values(d.asks))
}

// batched is a directory that can be asked for many.
type batched struct{ *directory }

func (b *batched) TenantsByID(ctx context.Context, ids []string) (map[string]purge.SourceRow, error) {
	found := map[string]purge.SourceRow{}
	for _, id := range ids {
		t, err := b.Tenant(ctx, id)
		switch store.CodeOf(err) {
		case "":
			found[id] = purge.SourceRow{Tenant: t}
		case store.NotFound:
		case store.Invalid:
			found[id] = purge.SourceRow{Tenant: purge.SourceTenant{ID: id}, Err: err}
		default:
			return nil, err
		}
	}
	return found, nil
}

// on is the row of an active tenant, off that of one whose date is at a distance
// from now.
func on(id, parent string) purge.SourceRow {
	return purge.SourceRow{Tenant: purge.SourceTenant{ID: id, ParentID: parent, Status: store.StatusActive}}
}

func off(id, parent string, until time.Duration) purge.SourceRow {
	return offAt(id, parent, time.Now().Add(until))
}

func offAt(id, parent string, date time.Time) purge.SourceRow {
	r := on(id, parent)
	r.Tenant.Status, r.Tenant.PurgeAfterDays = store.StatusDisabled, graceDays
	r.Tenant.DisabledAt = store.Trim(date).Add(-graceDays * 24 * time.Hour)
	return r
}

// many returns n rows.
func many(n int, row func(id, parent string) purge.SourceRow) []purge.SourceRow {
	var rows []purge.SourceRow
	for i := range n {
		rows = append(rows, row(fmt.Sprintf("t%03d", i), ""))
	}
	return rows
}

func dueRow(id, parent string) purge.SourceRow { return off(id, parent, -time.Hour) }

// newSyncer returns a syncer with a small floor.
func newSyncer(t testing.TB, s store.Store, src purge.Source, change ...func(*purge.SyncOptions)) *purge.Syncer {
	t.Helper()
	o := purge.SyncOptions{Store: s, Source: src, TempDir: t.TempDir(), Settings: purge.DefaultSyncSettings()}
	o.Settings.Floor = 2
	for _, c := range change {
		c(&o)
	}
	v, err := purge.NewSyncer(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// floor changes what may change at the least.
func floor(n int64) func(*purge.SyncOptions) {
	return func(o *purge.SyncOptions) { o.Settings.Floor = n }
}

// synced makes a sync that must end like that.
func synced(t testing.TB, s *purge.Syncer, want store.SyncResult) store.Sync {
	t.Helper()
	r, err := s.Sync(context.Background())
	if err != nil && want != store.SyncFailed || err == nil && want == store.SyncFailed {
		t.Fatalf("Sync: %v", err)
	}
	if r.Result != want {
		t.Fatalf("the sync is %s: %s; want it %s", r.Result, r.Why, want)
	}
	return r
}

// contents is what a sync changes of a store.
func contents(t testing.TB, s *boltstore.Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	list, err := s.Tenants(context.Background(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		got[v.ID] = fmt.Sprintf("%s<%s %s", v.Status, v.ParentID, store.FormatTime(v.EstimatedPurgeDate))
	}
	return got
}

// wantContents fails the test unless the store keeps just these tenants.
func wantContents(t testing.TB, s *boltstore.Store, rows ...purge.SourceRow) {
	t.Helper()
	want := map[string]string{}
	for _, r := range rows {
		v := r.Tenant
		date := time.Time{}
		if v.Status == store.StatusDisabled {
			date = store.PurgeDate(v.DisabledAt, v.PurgeAfterDays)
		}
		want[v.ID] = fmt.Sprintf("%s<%s %s", v.Status, v.ParentID, store.FormatTime(date))
	}
	if diff := cmp.Diff(want, contents(t, s)); diff != "" {
		t.Errorf("tenants (-want +got):\n%s", diff)
	}
}

// unchanged runs f and fails the test when a tenant is another afterwards.
func unchanged(t testing.TB, s *boltstore.Store, what string, f func()) {
	t.Helper()
	before := contents(t, s)
	head := auditHead(t, s)
	f()
	if !maps.Equal(before, contents(t, s)) {
		t.Errorf("%s changed tenants: %v, before %v", what, contents(t, s), before)
	}
	entries, err := s.Audit(context.Background(), head+1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.TenantID != "" || e.Action == store.ActionImport {
			t.Errorf("%s left the entry %+v", what, e)
		}
	}
}

func auditHead(t testing.TB, s *boltstore.Store) uint64 {
	t.Helper()
	st, err := s.Stats(context.Background(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return st.AuditHead.Seq
}

// sourceState returns what is on record.
func sourceState(t testing.TB, s *purge.Syncer) store.SourceState {
	t.Helper()
	st, err := s.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st
}
