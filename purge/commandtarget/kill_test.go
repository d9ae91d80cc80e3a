package commandtarget_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// endings are how a program may come to its end after it has removed something and
// before it answers, with what the configuration says for that.
func endings() map[string]change {
	return map[string]change{
		"KillOfItsGroup": func(c *commandtarget.Config, _ *commandtarget.Options) { c.Env["THEN"] = "die" },
		"TimeOut": func(c *commandtarget.Config, _ *commandtarget.Options) {
			c.Env["THEN"], c.Timeout, c.KillAfter = "hang", 4*time.Second, time.Second
		},
	}
}

// doomed returns a target whose program removes a part of its first batch, and then does
// not come to its answer; from its next run on it does.
func doomed(t *testing.T, how change) (*commandtarget.Target, func(tenant string) int) {
	t.Helper()
	dir := t.TempDir()
	left := func(tenant string) int {
		entries, err := os.ReadDir(place(dir, tenant, store.KindUser))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(entries)
	}
	sys := inFiles(nil, func(tenant string, kind store.Kind) string { return place(dir, tenant, kind) }, nil)
	for _, tenant := range []string{"acme", "acme2"} {
		if err := sys.Add(tenant, store.KindUser, 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "doomed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return newTarget(t, "files", dir, how), left
}

// TestPurge_G5_AKillBetweenEffectAndAnswerIsResumed: what the program removed is not
// reported, and the error says that this may be so; the next call goes on.
func TestPurge_G5_AKillBetweenEffectAndAnswerIsResumed(t *testing.T) {
	for name, how := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, left := doomed(t, how)
			r := purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 6}
			did, err := target.Purge(t.Context(), r)
			if did != (purge.Removed{}) || !lost(err) || purge.IsPermanent(err) {
				t.Errorf("Purge = %+v, %v; want nothing reported, and an error that may be tried again and says that the answer was lost", did, err)
			}
			if n := left("acme"); n != 7 {
				t.Fatalf("%d files are left, want 7: the program removes %d before it ends", n, beforeItsEnd)
			}
			r.Resumed = true
			for _, want := range []purge.Removed{{Deleted: 6, More: true}, {Deleted: 1}, {}} {
				if did, err := target.Purge(t.Context(), r); err != nil || did != want {
					t.Errorf("Purge, resumed = %+v, %v; want %+v", did, err, want)
				}
			}
			if n, err := target.Count(t.Context(), "acme", store.KindUser); n != 0 || err != nil || left("acme2") != 10 {
				t.Errorf("in the end Count = %d, %v, and the neighbour has %d of 10", n, err, left("acme2"))
			}
		})
	}
}

// lost reports whether the engine takes an error for a lost answer.
func lost(err error) bool {
	return store.CodeOf(err) == store.Internal || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// TestRun_G5_G6_AKillBetweenEffectAndAnswerLeavesALowerBound: a whole purge with the
// store and the engine. It ends with zero, and its receipt says of what the count is
// a lower bound.
func TestRun_G5_G6_AKillBetweenEffectAndAnswerLeavesALowerBound(t *testing.T) {
	for name, how := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, left := doomed(t, how)
			s := newStore(t)
			settings := purge.DefaultSettings()
			settings.Batch, settings.BackoffInitial, settings.BackoffMax = 6, time.Second, time.Second
			e, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{target}, Settings: settings})
			if err != nil {
				t.Fatal(err)
			}
			report, err := e.Run(t.Context(), purge.TriggerRun)
			if err != nil || report.Result != purge.ResultPartial || left("acme") != 7 {
				t.Fatalf("the first pass: %+v, %v with %d left; want an attempt that failed with 7 left", report, err, left("acme"))
			}
			if acme, err := s.Tenant(t.Context(), "acme"); err != nil || acme.Status != store.StatusPurging {
				t.Errorf("after it the tenant is %+v, %v", acme, err)
			}
			if _, err := s.Update(t.Context(), "acme", store.Update{Origin: store.Origin{Actor: store.Actor{ID: "ops"}, At: time.Now()}, Change: store.Retry()}); err != nil {
				t.Fatal(err)
			}
			if report, err = e.Run(t.Context(), purge.TriggerRun); err != nil || report.Result != purge.ResultOK {
				t.Fatalf("the second pass: %+v, %v", report, err)
			}
			receipt, err := s.Receipt(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			want := []store.LowerBound{{Target: "files", Kind: store.KindUser}}
			if receipt.CountsExact || !slices.Equal(receipt.LowerBounds, want) || receipt.Targets["files"] != (store.Counts{Users: 7}) {
				t.Errorf("the receipt has %+v, exact: %t, a lower bound: %+v; want 7 users, as a lower bound", receipt.Targets, receipt.CountsExact, receipt.LowerBounds)
			}
			if left("acme") != 0 || left("acme2") != 10 {
				t.Errorf("%d of acme are left, and %d of its neighbour's 10", left("acme"), left("acme2"))
			}
		})
	}
}

// newStore returns a store with a tenant, acme, that is due.
func newStore(t *testing.T) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	past := store.Origin{Actor: store.Actor{ID: "support"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	if _, err := s.Create(t.Context(), store.Tenant{ID: "acme"}, past); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), "acme", store.Update{Origin: past, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
		t.Fatal(err)
	}
	return s
}
