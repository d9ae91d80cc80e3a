package purge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/storetest"
)

var operator = store.Actor{ID: "uid:1000"}

// openStore opens the store in dir. At the end of the test it is checked as a
// whole and closed, unless it was closed before.
func openStore(t testing.TB, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir, MmapSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(context.Background()); err != nil && store.CodeOf(err) != store.Unavailable {
			t.Errorf("check of the store: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// checkAndClose ends the use of a store before the end of the test, which makes
// room for the next one.
func checkAndClose(t testing.TB, s *boltstore.Store) {
	t.Helper()
	if err := errors.Join(s.Check(context.Background()), s.Close()); err != nil {
		t.Error(err)
	}
}

func newStore(t testing.TB) *boltstore.Store { return openStore(t, t.TempDir()) }

// graceDays is the grace period of tenants in tests.
const graceDays = 30

// disabled returns a tenant whose date is at a distance from now.
func disabled(id, parent string, until time.Duration) store.Tenant {
	at := store.Trim(time.Now().Add(until))
	return store.Tenant{
		ID: id, ParentID: parent, Name: "Name of " + id, Status: store.StatusDisabled,
		DisabledAt: at.Add(-graceDays * 24 * time.Hour), PurgeAfterDays: graceDays, EstimatedPurgeDate: at,
	}
}

// due returns a tenant whose date has come an hour ago.
func due(id, parent string) store.Tenant { return disabled(id, parent, -time.Hour) }

func active(id, parent string) store.Tenant {
	return store.Tenant{ID: id, ParentID: parent, Name: "Name of " + id, Status: store.StatusActive}
}

// with returns the tenant with a change.
func with(t store.Tenant, change func(*store.Tenant)) store.Tenant {
	change(&t)
	return t
}

// resources returns n of each kind.
func resources(tenant string, n int) []store.Resource {
	var list []store.Resource
	for _, k := range store.Kinds() {
		for i := range n {
			list = append(list, store.Resource{TenantID: tenant, Kind: k, ID: fmt.Sprintf("%s-%d", k, i)})
		}
	}
	return list
}

// fill imports records.
func fill(t testing.TB, s store.Importer, tenants []store.Tenant, rs []store.Resource) {
	t.Helper()
	ctx, o := context.Background(), store.Origin{Actor: operator, At: time.Now()}
	if err := s.BeginImport(ctx, store.Import{Digest: "test"}, o); err != nil {
		t.Fatal(err)
	}
	const step = 2000
	for first := true; first || len(rs) > 0; first = false {
		b := store.Batch{Resources: rs[:min(step, len(rs))]}
		if first {
			b.Tenants = tenants
		}
		rs = rs[len(b.Resources):]
		done, err := s.ImportBatch(ctx, b, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, out := range append(done.Tenants, done.Resources...) {
			if out != store.OutcomeNew {
				t.Fatalf("record %d was not imported: outcome %d", i, out)
			}
		}
	}
	if err := s.EndImport(ctx, o); err != nil {
		t.Fatal(err)
	}
}

// unlimited are settings under which nothing halts.
func unlimited() purge.Settings {
	s := purge.DefaultSettings()
	s.PerPass, s.Limits = 0, store.Limits{}
	return s
}

// newEngine returns an engine on s; options are changed by the functions.
func newEngine(t testing.TB, s store.Store, change ...func(*purge.Options)) *purge.Engine {
	t.Helper()
	o := purge.Options{Store: s, Settings: unlimited()}
	for _, c := range change {
		c(&o)
	}
	e, err := purge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func targets(list ...purge.Target) func(*purge.Options) {
	return func(o *purge.Options) { o.Targets = list }
}

func setting(change func(*purge.Settings)) func(*purge.Options) {
	return func(o *purge.Options) { change(&o.Settings) }
}

func logTo(core zapcore.Core) func(*purge.Options) {
	return func(o *purge.Options) { o.Logger = zap.New(core) }
}

// observed returns an option that gathers the log from level on.
func observed(level zapcore.Level) (func(*purge.Options), *observer.ObservedLogs) {
	core, logs := observer.New(level)
	return logTo(core), logs
}

// mustRun makes a pass that must not fail.
func mustRun(t testing.TB, e *purge.Engine) purge.Report {
	t.Helper()
	r, err := e.Run(context.Background(), purge.TriggerRun)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return r
}

// outcomes is a report without what differs from run to run.
func outcomes(r purge.Report) map[string]string {
	m := map[string]string{}
	for _, row := range r.Tenants {
		text := string(row.Outcome)
		if row.Block != nil {
			text = fmt.Sprintf("%s: %s by %s", text, row.Block.Reason, row.Block.By)
		}
		m[row.ID] = text
	}
	return m
}

func wantOutcomes(t testing.TB, r purge.Report, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func wantResult(t testing.TB, r purge.Report, want purge.Result) {
	t.Helper()
	if r.Result != want {
		t.Errorf("result %q, want %q (gate %+v, error %q)", r.Result, want, r.Gate, r.Error)
	}
}

// status returns that of a tenant or tombstone.
func status(t testing.TB, s store.Store, id string) store.Status {
	t.Helper()
	v, err := s.Tenant(context.Background(), id)
	if store.CodeOf(err) == store.Gone {
		return store.StatusDeleted
	}
	if err != nil {
		t.Fatal(err)
	}
	return v.Status
}

func wantStatus(t testing.TB, s store.Store, want store.Status, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if got := status(t, s, id); got != want {
			t.Errorf("tenant %q is %s, want %s", id, got, want)
		}
	}
}

func receipt(t testing.TB, s store.Store, id string) store.Receipt {
	t.Helper()
	r, err := s.Receipt(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// each returns n of every kind and so many sub-tenants.
func each(n, subTenants int64) store.Counts {
	return store.Counts{Users: n, Credentials: n, APIKeys: n, OAuthClients: n, SubTenants: subTenants}
}

// copyFile is [storetest.CopyFile].
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	storetest.CopyFile(t, from, to)
}

// isBlocked reports whether err is a refusal with this block.
func isBlocked(err error, reason store.BlockReason, by string) bool {
	var b *store.BlockedError
	return errors.As(err, &b) && b.Block.Reason == reason && b.Block.By == by
}
