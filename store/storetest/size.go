package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// sizeCases are trees so large that no store can treat them in one step.
func sizeCases() []testCase {
	return []testCase{
		{"ASubTenantOfALargeTree_G4", sizeLargeTree},
		{"ManyTenantsInStepsAndClaims_G5", sizeManyTenants},
		{"TheDeepestTenantThereMayBe", sizeDeepest},
		{"ManyTenantsInline_G5", func(e *env) {
			e.importer()
			ids := e.importWide("top", 3000)
			e.deactivate("top", t0, 10)
			r := e.purge("top", due10, inline)
			e.wantWide(r, "top", ids)
		}},
	}
}

// sizeLargeTree purges a large sub-tenant in the midst of a large tree, and
// counts the rest by rows.
func sizeLargeTree(e *env) {
	e.directory()
	e.createAll("root", "a<root", "b<root", "c<root", "b.x<b")
	held := map[string]store.Counts{}
	for _, id := range []string{"root", "a", "c"} {
		held[id] = e.fill(id, 1500)
	}
	want := e.fill("b", 2000).Plus(e.fill("b.x", 1000))
	want.SubTenants = 1
	e.deactivate("b", t0, 10)
	r := e.purge("b", due10, inline)
	e.equal(want, r.Deleted, "deleted")
	for id, counts := range held {
		e.wantHeld(id, counts)
	}
	if err := e.s.Check(e.ctx()); err != nil {
		e.t.Errorf("Check: %v", err)
	}
	// The place of what went is used again.
	held["a"] = e.fill("a", 2500)
	e.wantHeld("a", held["a"])
	e.deactivate("root", t0, 10)
	r = e.purge("root", due10)
	want = held["root"].Plus(held["a"]).Plus(held["c"])
	want.SubTenants = 2
	e.equal(want, r.Deleted, "deleted with the root")
}

// importWide makes a tenant with n children and one grandchild for every
// hundredth, each with one user, and returns how many tenants are below it.
func (e *env) importWide(top string, n int) int {
	e.t.Helper()
	all := store.Batch{Tenants: []store.Tenant{{ID: top, Status: store.StatusActive}}}
	add := func(id, parent string) {
		all.Tenants = append(all.Tenants, store.Tenant{ID: id, ParentID: parent, Status: store.StatusActive})
		all.Resources = append(all.Resources, resource(id, store.KindUser, "u"))
	}
	for i := range n {
		child := fmt.Sprintf("%s-%05d", top, i)
		add(child, top)
		if i%100 == 0 {
			add(child+".x", child)
		}
	}
	e.importAll(all)
	return len(all.Tenants) - 1
}

// wantWide judges the receipt of a tenant that importWide made.
func (e *env) wantWide(r store.Receipt, top string, below int) {
	e.t.Helper()
	seen := map[string]bool{}
	for i, id := range r.Tenants {
		if seen[id] {
			e.t.Fatalf("%q is on the receipt twice", id)
		}
		seen[id] = true
		// A grandchild is "child.x": it has to come before the child (G3).
		if child, ok := strings.CutSuffix(id, ".x"); ok && seen[child] {
			e.t.Fatalf("%q comes after its parent, at %d", id, i)
		}
	}
	if len(r.Tenants) != below+1 || r.Tenants[below] != top {
		e.t.Errorf("the receipt lists %d tenants and ends with %q; want %d and %q", len(r.Tenants), r.Tenants[len(r.Tenants)-1], below+1, top)
	}
	e.equal(store.Counts{Users: int64(below), SubTenants: int64(below)}, r.Deleted, "deleted")
	e.equal(r.Planned, r.Deleted, "planned (-) and deleted (+)")
	for _, id := range []string{r.Tenants[0], r.Tenants[below/2], r.Tenants[below]} {
		ts, err := e.s.Tombstone(e.ctx(), id)
		if err != nil || ts.PurgedWith != top {
			e.t.Errorf("Tombstone(%q): %+v, %v; want it purged with %q", id, ts, err, top)
		}
		if got, err := e.s.Receipt(e.ctx(), id); err != nil || got.ID != r.ID {
			e.t.Errorf("Receipt(%q): %q, %v; want %q", id, got.ID, err, r.ID)
		}
	}
}

// sizeManyTenants begins to erase many tenants, restarts, fails, and lets the
// ancestor take the rest.
func sizeManyTenants(e *env) {
	e.importer()
	e.create("root", "")
	below := e.importWide("root-", 0) // a name that is a prefix of the others
	if below != 0 {
		e.t.Fatalf("%d tenants; want none", below)
	}
	const n = 5000
	b := store.Batch{}
	for i := range n {
		b.Tenants = append(b.Tenants, store.Tenant{ID: fmt.Sprintf("w%05d", i), ParentID: "w", Status: store.StatusActive})
		b.Resources = append(b.Resources, resource(fmt.Sprintf("w%05d", i), store.KindUser, "u"))
	}
	e.create("w", "root")
	e.importAll(b)
	e.deactivate("w", t0, 10)
	e.deactivate("root", t0, 10)
	e.claim("w", due10)
	at := due10
	var erased store.Counts
	for range 3 {
		e.reopen()
		at = at.Add(time.Minute)
		c := e.resume("w", at, inline)
		got, err := e.s.Erase(e.ctx(), c.Token, at, lease)
		if err != nil {
			e.t.Fatalf("Erase: %v", err)
		}
		erased = erased.Plus(got.Deleted)
		if left := int64(len(c.Tenants)) - got.Deleted.SubTenants; left < 1 {
			e.t.Fatalf("%d tenants are left and the purge is not finished", left)
		}
		e.equal(erased, e.tenant("w").Purge.Deleted, "the progress")
		// A kill between two steps leaves exactly this.
		if err := e.s.Check(e.ctx()); err != nil {
			e.t.Fatalf("Check amid a purge: %v", err)
		}
		for _, id := range []string{"w", "w00000", fmt.Sprintf("w%05d", n-1)} {
			_, err := e.s.Receipt(e.ctx(), id)
			e.wantCode(err, store.Precondition, fmt.Sprintf("Receipt(%q) amid the purge", id))
		}
	}
	e.postpone(store.Token{TenantID: "w", Fence: e.tenant("w").Purge.Fence}, at, time.Time{})
	r := e.purge("root", at, inline)
	e.equal(store.Counts{Users: n, SubTenants: n + 1}, r.Deleted, "deleted")
	e.equal(r.Deleted, r.Planned, "deleted (-) and planned (+)")
	if len(r.Tenants) != n+2 || r.Tenants[n+1] != "root" || r.Tenants[n] != "w" || !r.CountsExact {
		e.t.Errorf("the receipt lists %d tenants, ending with %q; exact: %v", len(r.Tenants), r.Tenants[max(0, len(r.Tenants)-2):], r.CountsExact)
	}
	e.wantGone("root", "w", "w00000", fmt.Sprintf("w%05d", n-1))
	if got := e.stats(at).Tenants[store.StatusDeleted]; got != n+2 {
		e.t.Errorf("%d tombstones; want %d", got, n+2)
	}
}

// sizeDeepest makes a chain of the largest depth. Nothing may be below it, and
// nothing may recurse along it.
func sizeDeepest(e *env) {
	e.takesLong()
	imp := e.importer()
	const batch = 8192
	if err := imp.BeginImport(e.ctx(), store.Import{Digest: "d"}, by(t0)); err != nil {
		e.t.Fatalf("BeginImport: %v", err)
	}
	var b store.Batch
	id := func(depth int) string { return fmt.Sprintf("d%05d", depth) }
	for depth := range store.MaxDepth + 1 {
		tn := store.Tenant{ID: id(depth), Status: store.StatusActive}
		if depth > 0 {
			tn.ParentID = id(depth - 1)
		}
		if b.Tenants = append(b.Tenants, tn); len(b.Tenants) == batch || depth == store.MaxDepth {
			e.wantOutcomes(e.importedBatch(b).Tenants, store.OutcomeNew)
			b.Tenants = b.Tenants[:0]
		}
	}
	_, err := imp.ImportBatch(e.ctx(), store.Batch{Tenants: []store.Tenant{{ID: "below", ParentID: id(store.MaxDepth), Status: store.StatusActive}}}, by(t0))
	e.wantCode(err, store.Invalid, "an import below the deepest")
	if err := imp.EndImport(e.ctx(), by(t0)); err != nil {
		e.t.Fatalf("EndImport: %v", err)
	}
	_, err = e.s.Create(e.ctx(), store.Tenant{ID: "below", ParentID: id(store.MaxDepth)}, by(t0))
	e.wantCode(err, store.Invalid, "Create below the deepest")
	e.create("beside", id(store.MaxDepth-1))
	e.deactivate(id(0), t0, 10)
	_, err = e.tryUpdate("beside", t0, store.Reactivate())
	e.wantCode(err, store.Precondition, "Reactivate far below a disabled tenant")
	if a := e.assess(id(0), due10); a.Refusal != nil || a.Tenants != store.MaxDepth+2 {
		e.t.Errorf("Assess: %d tenants, %v; want %d", a.Tenants, a.Refusal, store.MaxDepth+2)
	}
}
