package storetest

import (
	"fmt"

	"github.com/tenantpurge/purger/store"
)

func neighboursCases() []testCase {
	return []testCase{
		{"PurgingOneOfManySimilarIDs_G4", func(e *env) { neighbours(e) }},
		{"PurgingOneOfManySimilarIDsInline_G4", func(e *env) { neighbours(e, inline) }},
		{"PurgingOneOfManySimilarRoots_G4", func(e *env) {
			for _, id := range similar() {
				e.create(id, "")
				e.fillIfHeld(id, 2)
			}
			for _, id := range similar() {
				e.purgeAndCompare(id, nil)
			}
		}},
		{"IdsThatAreKindsOrSeparators_G4", func(e *env) {
			e.createAll("user", "apiKey<user", "user:user<user", "oauthClient", "user.oauthClient")
			d := e.directory()
			for _, id := range []string{"user", "apiKey", "user:user", "oauthClient", "user.oauthClient"} {
				for _, k := range store.Kinds() {
					e.put(resource(id, k, "user"), resource(id, k, "apiKey"), resource(id, k, "a:user"))
				}
			}
			if err := d.Remove(e.ctx(), "user", store.KindUser, "user"); err != nil {
				e.t.Fatalf("Remove: %v", err)
			}
			e.wantHeld("user", store.Counts{Users: 2, APIKeys: 3, Credentials: 3, OAuthClients: 3})
			e.purgeAndCompare("user:user", nil)
			e.purgeAndCompare("user", nil)
		}},
	}
}

// similar returns ids that a careless key, prefix scan or fold of case takes
// for one another.
func similar() []string {
	return []string{"a", "a.", "a-", "a_", "a:", "aa", "a0", "A", "a.b", "a:b", "ab", "a..", "0", "a.0"}
}

// neighbours purges tenants in the middle of one tree, each with sub-tenants
// of similar ids, and compares all the rest before and after.
func neighbours(e *env, edits ...func(*store.ClaimRequest)) {
	e.create("root", "")
	e.fillIfHeld("root", 3)
	for _, id := range similar() {
		e.create(id, "root")
		e.fillIfHeld(id, 2)
	}
	e.createAll("a.c<a", "a.c.d<a.c", "a.b.c<a.b", "aaa<aa")
	for _, id := range []string{"a.c", "a.c.d", "a.b.c", "aaa"} {
		e.fillIfHeld(id, 1)
	}
	for _, id := range []string{"a.b", "a", "aa", "a."} {
		e.purgeAndCompare(id, edits)
	}
	e.reopen()
	e.purgeAndCompare("A", edits)
}

// purgeAndCompare purges a tenant and fails the case when anything of any
// tenant outside its subtree is not what it was.
func (e *env) purgeAndCompare(id string, edits []func(*store.ClaimRequest)) {
	e.t.Helper()
	e.deactivate(id, t0, 10)
	before := e.snapshot()
	r := e.purge(id, due10, edits...)
	after := e.snapshot()
	inside := map[string]bool{}
	var want store.Counts
	for _, t := range r.Tenants {
		inside[t] = true
		want = want.Plus(before.Counts[t])
	}
	want.SubTenants = int64(len(r.Tenants) - 1)
	e.equal(want, r.Deleted, fmt.Sprintf("deleted with %q", id))

	keep := before.Tenants[:0:0]
	for _, tn := range before.Tenants {
		if !inside[tn.ID] {
			keep = append(keep, tn)
			e.equal(before.Resources[tn.ID], after.Resources[tn.ID], fmt.Sprintf("resources of %q, after the purge of %q", tn.ID, id))
			e.wantHeld(tn.ID, before.Counts[tn.ID])
		}
	}
	e.equal(keep, after.Tenants, fmt.Sprintf("the other tenants, after the purge of %q", id))
	e.wantGone(r.Tenants...)
	for t := range before.Tombstones {
		e.equal(before.Tombstones[t], after.Tombstones[t], fmt.Sprintf("tombstone of %q", t))
	}
}
