package targettest

import (
	"context"
	"fmt"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// grouped runs fn for each kind of a [purge.GroupTarget], with tenants that fit
// one call of it, at most five. A target of another sort has nothing to prove.
func grouped(t *trial, fn func(g purge.GroupTarget, kind store.Kind, tenants []string)) {
	g, ok := t.sys.Target.(purge.GroupTarget)
	if !ok {
		return
	}
	for _, kind := range g.Kinds() {
		size := g.GroupSize(kind)
		if size < 1 || g.GroupSize(kind) != size {
			t.Fatalf("GroupSize(%s) = %d: want a constant, 1 or more", kind, size)
		}
		var tenants []string
		for i := range min(size, 5) {
			tenants = append(tenants, fmt.Sprintf("group-%d", i))
		}
		fn(g, kind, tenants)
	}
}

// stepOf calls a target once for several tenants.
func (t *trial) stepOf(g purge.GroupTarget, tenants []string, r purge.Request) purge.Removed {
	t.Helper()
	did, err := patient(t, func() (purge.Removed, error) { return g.PurgeGroup(context.Background(), tenants, r) })
	if err != nil {
		t.Fatalf("PurgeGroup(%q, %+v): %v", tenants, r, err)
	}
	return did
}

// purgeOf calls a target for several tenants until there is no more, and after
// each call compares what is gone with what was reported.
func (t *trial) purgeOf(g purge.GroupTarget, tenants []string, r purge.Request) {
	t.Helper()
	before := t.sum(tenants, r.Kind)
	for idle := 0; idle < 3; idle++ {
		did := t.stepOf(g, tenants, r)
		now := t.sum(tenants, r.Kind)
		gone := before - now
		if gone != did.Deleted || gone > int64(r.Limit) {
			t.Fatalf("PurgeGroup(%q, %+v): %d are gone and %d were reported", tenants, r, gone, did.Deleted)
		}
		if !did.More {
			if now > 0 {
				t.Fatalf("PurgeGroup(%q, %+v): More is false with %d left", tenants, r, now)
			}
			return
		}
		if before = now; gone > 0 {
			idle = -1
		}
	}
	t.Fatalf("PurgeGroup(%q, %+v): three calls removed nothing and said that there is more", tenants, r)
}

// countOf calls a target once for several tenants.
func (t *trial) countOf(g purge.GroupTarget, tenants []string, kind store.Kind) int64 {
	t.Helper()
	n, err := patient(t, func() (int64, error) { return g.CountGroup(context.Background(), tenants, kind) })
	if err != nil {
		t.Fatalf("CountGroup(%q, %s): %v", tenants, kind, err)
	}
	return n
}

// sum asks the system, past the target.
func (t *trial) sum(tenants []string, kind store.Kind) (n int64) {
	t.Helper()
	for _, id := range tenants {
		n += t.left(id, kind)
	}
	return n
}

func groupCounts(t *trial) {
	grouped(t, func(g purge.GroupTarget, kind store.Kind, tenants []string) {
		for i, id := range tenants {
			t.add(id, kind, i*t.h.Many/4)
			if got, want := t.countOf(g, tenants[:i+1], kind), t.sum(tenants[:i+1], kind); got != want {
				t.Errorf("CountGroup of %d tenants with %d %s = %d", i+1, want, kind, got)
			}
		}
		if got := t.countOf(g, []string{"nobody"}, kind); got != 0 {
			t.Errorf("CountGroup of %s of an unknown tenant = %d", kind, got)
		}
	})
}

// groupPurges has tenants of very different sizes, and one with nothing.
func groupPurges(t *trial) {
	grouped(t, func(g purge.GroupTarget, kind store.Kind, tenants []string) {
		for _, limit := range []int{1, 7, t.h.Many / 2, large} {
			for i, id := range tenants {
				t.add(id, kind, []int{3, 0, min(limit, t.h.Many) + 2, 1, 6}[i])
			}
			t.purgeOf(g, tenants, purge.Request{Kind: kind, Limit: limit})
		}
		if did := t.stepOf(g, []string{"nobody", tenants[0]}[:min(2, g.GroupSize(kind))], purge.Request{Kind: kind, Limit: 10}); did != (purge.Removed{}) {
			t.Errorf("PurgeGroup of what is gone = %+v", did)
		}
	})
}

// groupIsolated purges every other one of the confusable tenants together.
func groupIsolated(t *trial) {
	grouped(t, func(g purge.GroupTarget, kind store.Kind, _ []string) {
		var doomed, others []string
		for i, id := range confusables() {
			if err := t.sys.Add(id, kind, 2+i%3); err != nil {
				continue
			}
			if i%2 == 0 && store.CheckID("id", id) == nil && len(doomed) < g.GroupSize(kind) {
				doomed = append(doomed, id)
			} else {
				others = append(others, id)
			}
		}
		kept := t.sum(others, kind)
		if got, want := t.countOf(g, doomed, kind), t.sum(doomed, kind); got != want {
			t.Errorf("CountGroup(%q) = %d %s, want %d", doomed, got, kind, want)
		}
		t.purgeOf(g, doomed, purge.Request{Kind: kind, Limit: large})
		if n := t.sum(others, kind); n != kept {
			t.Errorf("after the purge of %q the others have %d %s, want %d", doomed, n, kind, kept)
		}
	})
}

// accountIsKept compares the account of a [purge.Accountant] with what was
// removed for each of two purges.
func accountIsKept(t *trial) {
	a, ok := purge.As[purge.Accountant](t.sys.Target)
	if !ok {
		return
	}
	if keeps, err := a.KeepsAccount(context.Background()); err != nil || !keeps {
		if err != nil {
			t.Errorf("KeepsAccount: %v", err)
		}
		return
	}
	want := map[string]store.Counts{}
	for i, kind := range t.sys.Target.Kinds() {
		for j, tenant := range []string{"acme", "globex"} {
			t.add(tenant, kind, 11+i+j)
			// In steps, and a last one that finds nothing.
			for _, limit := range []int{4, 1, large, large} {
				did, err := t.step(context.Background(), purge.Request{TenantID: tenant, PurgeID: "purge-of-" + tenant, Kind: kind, Limit: limit})
				if err != nil {
					t.Fatalf("Purge of %s: %v", kind, err)
				}
				c := want[tenant]
				c.Add(kind, did.Deleted)
				want[tenant] = c
			}
		}
	}
	// For no purge, or another one, nothing of it counts.
	t.add("acme", t.sys.Target.Kinds()[0], 3)
	t.purge(purge.Request{TenantID: "acme", Kind: t.sys.Target.Kinds()[0], Limit: large})
	for _, id := range []string{"acme", "globex", "nobody"} {
		got, err := patient(t, func() (store.Counts, error) { return a.Account(context.Background(), "purge-of-"+id) })
		if err != nil || got != want[id] {
			t.Errorf("Account(purge-of-%s) = %+v, %v; want %+v", id, got, err, want[id])
		}
	}
	if t.sys.Break != nil {
		t.sys.Break()
		if got, err := patient(t, func() (store.Counts, error) { return a.Account(context.Background(), "purge-of-acme") }); err == nil {
			t.Errorf("Account of a broken system = %+v", got)
		}
	}
}
