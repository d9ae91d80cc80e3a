package boltstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// placesOf finds where tenants are.
func (f *fixture) placesOf(ids ...string) []place {
	f.t.Helper()
	var list []place
	f.must(f.db.View(func(tx *bolt.Tx) error {
		for _, id := range ids {
			p, err := findPlace(tx, id)
			if err != nil {
				return err
			}
			list = append(list, p)
		}
		return nil
	}))
	return list
}

// foreseeAll foresees tenants as those of a list of its own.
func (f *fixture) foreseeAll(ids ...string) *dueList {
	f.t.Helper()
	list := make([]store.Candidate, len(ids))
	for i, id := range ids {
		list[i].ID = id
	}
	places := f.placesOf(ids...)
	f.ahead.expect(list, places, true)
	l := f.ahead.lists[len(f.ahead.lists)-1]
	f.foresee(f.t.Context(), l, places)
	return l
}

// plantSmall plants trees of a root and a sub-tenant with n resources of each
// kind at both, due, and foresees them.
func (f *fixture) plantSmall(n int, roots ...string) {
	f.t.Helper()
	for _, id := range roots {
		f.create(id, "")
		f.create(id+"-sub", id)
		f.fill(id, n)
		f.fill(id+"-sub", n)
		f.deactivate(id)
	}
	f.foreseeAll(roots...)
	if got := f.ahead.tenants; got != 2*len(roots) {
		f.t.Fatalf("%d tenants are foreseen; want %d", got, 2*len(roots))
	}
}

// A claim of a tree that was read before its turn decides, deletes and counts by
// what is there when its turn comes.
func TestForesee_G6_AClaimKnowsWhatChangedSince(t *testing.T) {
	user := func(id string) store.Resource {
		return store.Resource{TenantID: id, Kind: store.KindUser, ID: "late", Data: []byte(`{}`)}
	}
	hold := store.SetHold("a dispute", time.Time{})
	for name, c := range map[string]struct {
		change func(f *fixture) error
		users  int64 // on the receipt; -1: the claim is refused
	}{
		"nothing": {func(*fixture) error { return nil }, 6},
		"a user of the root": {func(f *fixture) error {
			return f.Put(f.t.Context(), []store.Resource{user("top")})
		}, 7},
		"a user of the sub-tenant": {func(f *fixture) error {
			return f.Put(f.t.Context(), []store.Resource{user("top-sub")})
		}, 7},
		"an imported user": {func(f *fixture) error {
			_, err := f.ImportBatch(f.t.Context(), store.Batch{Resources: []store.Resource{user("top-sub")}}, at(epoch))
			return err
		}, 7},
		"a user less": {func(f *fixture) error {
			return f.Remove(f.t.Context(), "top", store.KindUser, "secret-000000")
		}, 5},
		"a hold on the root": {func(f *fixture) error {
			_, err := f.Update(f.t.Context(), "top", store.Update{Origin: at(epoch), Change: hold})
			return err
		}, -1},
		"a hold on the sub-tenant": {func(f *fixture) error {
			_, err := f.Update(f.t.Context(), "top-sub", store.Update{Origin: at(epoch), Change: hold})
			return err
		}, -1},
		"a reactivation": {func(f *fixture) error {
			_, err := f.Update(f.t.Context(), "top", store.Update{Origin: at(epoch), Change: store.Reactivate()})
			return err
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.plantSmall(3, "top", "other")
			f.must(c.change(f))
			claim, err := f.Claim(t.Context(), "top", request(true))
			switch {
			case c.users < 0 && err == nil:
				t.Errorf("claimed: %+v", claim)
			case c.users >= 0 && (err != nil || claim.Receipt.Deleted.Users != c.users):
				t.Errorf("%+v, %v; want %d users deleted", claim.Receipt, err, c.users)
			}
		})
	}
}

// The same for a change that shares the claim's transaction.
func TestForesee_G6_AClaimKnowsWhatChangedInItsTransaction(t *testing.T) {
	f := newFixture(t)
	f.plantSmall(3, "top")
	release := f.holdWriter()
	var wg sync.WaitGroup
	queued := make(chan struct{})
	wg.Go(func() {
		err := f.writeQueued(t.Context(), foreground, func() { close(queued) }, func(w *wtx) error {
			at, r, err := w.find("top")
			if err != nil {
				return err
			}
			if err := w.putResource(at, r, store.KindUser, "late", []byte(`{}`)); err != nil {
				return err
			}
			return at.tree.save()
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-queued
	req := request(true)
	req.Queued = func() { release() }
	claim, err := f.Claim(t.Context(), "top", req)
	wg.Wait()
	if err != nil || claim.Receipt.Deleted.Users != 7 {
		t.Errorf("%+v, %v; want 7 users deleted", claim.Receipt, err)
	}
}

// A change that is committed while a tree is being read makes what was read
// worthless.
func TestForesee_ATreeThatChangesWhileItIsReadIsNotKept(t *testing.T) {
	f := newFixture(t)
	f.plantSmall(1, "top")
	p := f.placesOf("top")
	was := f.ahead.take(p[0].tree)
	if was == nil {
		t.Fatal("nothing is foreseen")
	}
	mine := map[uint64]*foreseen{}
	f.ahead.announce(f.ahead.lists[0], p, mine)
	f.must(f.Put(t.Context(), []store.Resource{{TenantID: "top", Kind: store.KindUser, ID: "late", Data: []byte(`{}`)}}))
	*mine[p[0].tree] = *was
	f.ahead.learn(mine, true)
	if f.ahead.take(p[0].tree) != nil || f.ahead.tenants != 0 {
		t.Error("what was read before the change is kept")
	}
}

// What a claim goes by was read before, when it was.
func TestForesee_AClaimGoesByWhatWasRead(t *testing.T) {
	f := newFixture(t)
	f.plantSmall(1, "top")
	f.must(f.db.View(func(tx *bolt.Tx) error {
		w := f.newWtx(tx)
		d, err := w.foreseen("top")
		if err != nil || d == nil || len(d.nodes) != 2 || d.top.ID != "top" || d.held.sum().Users != 2 {
			t.Errorf("%+v, %v", d, err)
		}
		if again, err := w.foreseen("top"); again != nil || err != nil {
			t.Errorf("once more: %+v, %v", again, err)
		}
		return nil
	}))
}

// Trees of which a purge in steps removed something, and parts of trees, are read
// by their claims.
func TestForesee_LeavesOutWhatIsMoreThanATree(t *testing.T) {
	f := newFixture(t)
	f.create("part", "")
	f.create("part-sub", "part")
	f.create("begun", "")
	f.fill("begun", 2)
	f.deactivate("begun")
	claim, err := f.Claim(t.Context(), "begun", request(false))
	f.must(err)
	_, err = f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
	f.must(err)
	f.must(f.write(t.Context(), background, func(w *wtx) error {
		at, _, err := w.find("begun")
		if err != nil {
			return err
		}
		w.writes++
		return at.tree.b.Put(ordKey(keyRemoved, 0), appendCounts(nil, store.Counts{Users: 1}))
	}))
	f.foreseeAll("part-sub", "begun")
	if f.ahead.tenants != 0 || len(f.ahead.foreseen) != 0 {
		t.Errorf("%d tenants of %d trees are foreseen; want none", f.ahead.tenants, len(f.ahead.foreseen))
	}
}

// However many trees are due, few are kept, and those of old lists are not.
func TestForesee_IsBounded(t *testing.T) {
	f := newFixture(t)
	const trees = foreseeTenants/3 + 100
	f.plantTrees((trees + 19) / 20 * 20)
	var after store.Cursor
	for range 4 {
		list, err := f.Due(t.Context(), dueAt, after, store.MaxPage)
		f.must(err)
		ids := make([]string, len(list))
		for i := range list {
			ids[i] = list[i].ID
		}
		f.foreseeAll(ids...)
		if f.ahead.tenants > foreseeTenants || f.ahead.tenants == 0 || len(f.ahead.foreseen) > foreseeTenants {
			t.Fatalf("%d tenants of %d trees are foreseen", f.ahead.tenants, len(f.ahead.foreseen))
		}
		if len(list) == store.MaxPage {
			after = list[len(list)-1].Cursor
		}
	}
	old := f.ahead.lists[0]
	for i := range 2 {
		id := fmt.Sprint("other-", i)
		f.create(id, "")
		f.deactivate(id)
		f.ahead.expect([]store.Candidate{{Cursor: store.Cursor{ID: id}}}, f.placesOf(id), true)
	}
	f.foresee(t.Context(), old, old.places) // one that was begun before
	if f.ahead.tenants != 0 || len(f.ahead.foreseen) != 0 {
		t.Errorf("%d tenants of %d trees of old lists are foreseen", f.ahead.tenants, len(f.ahead.foreseen))
	}
}
