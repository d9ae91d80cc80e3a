package targettest

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Pace purges n resources of one kind through a guard that allows 50 requests a
// second, with a time-out that is shorter than the waits for the rate: n has to be one
// that takes more than 15 requests. Each request that the system sees has to count for
// the rate, and no wait for the time-out: all n are removed, without an error, in no
// less time than so many requests take. requests says how many the system has seen.
// Pace returns how many it was asked in this.
func Pace(t testing.TB, sys System, kind store.Kind, n int, requests func() int) int {
	t.Helper()
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries = 50, 300*time.Millisecond, 0
	before, began := requests(), time.Now()
	throughGuard(t, sys, kind, n, p)
	took, made := time.Since(began), requests()-before
	least := time.Duration(float64(made-1) / p.Rate * float64(time.Second))
	if took < least {
		t.Errorf("%d requests took %s, want %s at %v a second", made, took, least, p.Rate)
	}
	if least <= p.Timeout {
		t.Errorf("harness: %d requests are too few to wait for longer than the time-out", made)
	}
	return made
}

// Slow purges n resources of one kind through a guard whose time-out is half a
// second. The system has to be one that takes several times as long for them, and
// much less for a few. A step has to end before the time-out, with what it has done
// until then: all n are removed, without an error, and none without a result.
func Slow(t testing.TB, sys System, kind store.Kind, n int) {
	t.Helper()
	p := purge.DefaultPolicy()
	p.Timeout, p.Retries = 500*time.Millisecond, 0
	began := time.Now()
	throughGuard(t, sys, kind, n, p)
	if took := time.Since(began); took < 2*p.Timeout {
		t.Errorf("harness: the system took %s: it is not slow", took)
	}
}

// throughGuard purges n resources that it adds, by a policy.
func throughGuard(t testing.TB, sys System, kind store.Kind, n int, p purge.Policy) {
	t.Helper()
	if err := sys.Add("acme", kind, n); err != nil {
		t.Fatalf("harness: add %d %s: %v", n, kind, err)
	}
	g, err := purge.Guarded(sys.Target, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var deleted int64
	for more := true; more; {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: kind, Limit: large})
		if err != nil || did.Inexact || did.Deleted == 0 && did.More {
			t.Fatalf("after %d of %d: %+v, %v; want progress, counted exactly", deleted, n, did, err)
		}
		deleted, more = deleted+did.Deleted, did.More
	}
	if left, err := sys.Left("acme", kind); err != nil || left != 0 || deleted != int64(n) {
		t.Errorf("%d of %d were reported as removed, and %d are left, %v", deleted, n, left, err)
	}
}
