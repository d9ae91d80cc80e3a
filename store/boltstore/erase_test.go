package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// TestErase_ReadsTheSubtreeOnceAndStepsAreBounded has many sub-tenants of a
// tenant that is not the root. Reading them in every step took a square of time.
func TestErase_ReadsTheSubtreeOnceAndStepsAreBounded(t *testing.T) {
	f := newFixture(t)
	const n = 2*inlineTenants + 3*stepTenants
	plantBelow(t, f.Store, n, 3)
	claim, err := f.Claim(t.Context(), "top", request(false))
	f.must(err)
	var sum store.Counts
	for more := true; more; {
		e, err := f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
		f.must(err)
		if e.Deleted.Resources() > inlineRows || e.Deleted.SubTenants > stepTenants+pieceTenants {
			t.Errorf("one step removed %+v", e.Deleted)
		}
		sum, more = sum.Plus(e.Deleted), e.More
	}
	if f.erasing.built != 1 || len(f.erasing.byID) != 0 {
		t.Errorf("the subtree was read %d times to erase it, and %d erasures are kept afterwards", f.erasing.built, len(f.erasing.byID))
	}
	if left := n + 1 - sum.SubTenants; left > inlineTenants {
		t.Errorf("%d tenants are left to Finish", left)
	}
	r, err := f.Finish(t.Context(), claim.Token, store.Verification{At: dueAt})
	f.must(err)
	if r.Deleted.Resources() != n || r.Deleted.SubTenants != n || len(r.Tenants) != n+1 || r.Planned != r.Deleted || !r.CountsExact {
		t.Errorf("%d tenants on a receipt over %+v", len(r.Tenants), r.Deleted)
	}
	f.check()
}

// TestErase_G5_CountsAreExactWhateverComesBetween erases beside changes that
// spoil the transactions they share, under old tokens, by two callers at once,
// and by a new owner.
func TestErase_G5_CountsAreExactWhateverComesBetween(t *testing.T) {
	f := newFixture(t)
	const n = inlineTenants + 2000
	plantBelow(t, f.Store, n, 3)
	f.opt.TxTarget = time.Nanosecond // many steps
	first, err := f.Claim(t.Context(), "top", request(false))
	f.must(err)
	f.must(f.Yield(t.Context(), first.Token, dueAt))
	second, err := f.Resume(t.Context(), "top", request(false))
	f.must(err)

	var done atomic.Bool
	var spoiling, erasing sync.WaitGroup
	spoiling.Go(func() {
		spoilt := errors.New("spoilt")
		for i := 0; !done.Load(); i++ {
			err := f.write(t.Context(), foreground, func(w *wtx) error {
				return errors.Join(w.put(bucketMeta, []byte("spoilt"), []byte{1}), spoilt)
			})
			if !errors.Is(err, spoilt) {
				t.Errorf("what spoils: %v", err)
			}
			if _, err := f.Erase(t.Context(), first.Token, dueAt, time.Minute); store.CodeOf(err) != store.Conflict {
				t.Errorf("an old token: %v", err)
			}
		}
	})
	erase := func(tok store.Token, steps int) {
		for range steps {
			e, err := f.Erase(t.Context(), tok, dueAt, time.Minute)
			if err != nil {
				t.Errorf("Erase: %v", err)
			}
			if err != nil || !e.More {
				return
			}
		}
	}
	for range 2 {
		erasing.Go(func() { erase(second.Token, 4) })
	}
	erasing.Wait()
	f.must(f.Yield(t.Context(), second.Token, dueAt))
	third, err := f.Resume(t.Context(), "top", request(false))
	f.must(err)
	for range 2 {
		erasing.Go(func() { erase(third.Token, n) })
	}
	erasing.Wait()
	done.Store(true)
	spoiling.Wait()
	if len(f.erasing.byID) != 0 {
		t.Errorf("%d erasures are kept", len(f.erasing.byID))
	}
	r, err := f.Finish(t.Context(), third.Token, store.Verification{At: dueAt})
	f.must(err)
	want := store.Counts{SubTenants: n}
	for i, k := range store.Kinds() {
		want.Add(k, int64((n+3-i)/4))
	}
	if diff := cmp.Diff(want, r.Deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	seen := map[string]bool{}
	for _, id := range r.Tenants {
		if seen[id] {
			t.Errorf("%s is on the receipt twice", id)
		}
		seen[id] = true
	}
	if len(seen) != n+1 || r.Planned != r.Deleted {
		t.Errorf("%d tenants, planned %+v, deleted %+v", len(seen), r.Planned, r.Deleted)
	}
	f.check()
}

// TestErase_ACounterThatIsWrongDoesNotKeepItFromEnding has a counter that says
// more than there is, which a check would report.
func TestErase_ACounterThatIsWrongDoesNotKeepItFromEnding(t *testing.T) {
	f := newFixture(t)
	f.create("root", "")
	f.create("top", "root")
	f.fill("top", inlineRows/2)
	f.must(f.write(t.Context(), foreground, func(w *wtx) error {
		at, _, err := find(w.tx, "top")
		if err != nil {
			return err
		}
		if err := at.tree.count(at.ord, store.KindAPIKey, 5000); err != nil {
			return err
		}
		w.writes++
		return at.tree.save()
	}))
	f.deactivate("top")
	claim, err := f.Claim(t.Context(), "top", request(false))
	f.must(err)
	for steps, more := 0, true; more; steps++ {
		if steps > 100 {
			t.Fatal("it never ends")
		}
		e, err := f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
		f.must(err)
		more = e.More
	}
	var held int
	for _, k := range store.Kinds() {
		rows, err := f.List(t.Context(), "top", k, "", 1)
		f.must(err)
		held += len(rows)
	}
	if held*inlineRows/2 > inlineRows { // what is left fits Finish
		t.Errorf("%d kinds are left", held)
	}
}

// schemaOf returns the schema of a store's file.
func schemaOf(f *fixture) uint32 {
	f.t.Helper()
	var n uint32
	f.must(f.view(f.t.Context(), func(tx *bolt.Tx) error {
		n = binary.BigEndian.Uint32(tx.Bucket(bucketMeta).Get(keySchema))
		return nil
	}))
	return n
}

// TestErase_G5_AnEarlierVersionRefusesAStoreWhoseReceiptItWouldGetWrong has an
// upgrade and a rollback in the midst of a purge in steps. Versions that know
// schema 1 alone keep each removed tenant under a key of its own, and would
// finish a purge of this version with a receipt over ids that are none.
func TestErase_G5_AnEarlierVersionRefusesAStoreWhoseReceiptItWouldGetWrong(t *testing.T) {
	f := newFixture(t)
	const n = inlineTenants + 2*stepTenants
	plantBelow(t, f.Store, n, 3)
	f.create("small", "")
	f.deactivate("small")
	f.opt.TxTarget = time.Nanosecond // many steps
	claim, err := f.Claim(t.Context(), "small", request(false))
	f.must(err)
	_, err = f.Finish(t.Context(), claim.Token, store.Verification{At: dueAt})
	f.must(err)
	if claim, err = f.Claim(t.Context(), "top", request(false)); err != nil {
		t.Fatal(err)
	}
	if got := schemaOf(f); got != 1 {
		t.Errorf("schema %d before anything is there that an earlier version does not know; want 1", got)
	}
	erase := func() (more bool) {
		e, err := f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
		f.must(err)
		return e.More
	}
	gone := func(t *tree) int { return int(t.header.gone) }
	for withTree(f, "top", gone) == 0 && erase() {
	}
	if got := schemaOf(f); got != 2 {
		t.Errorf("schema %d with ids that an earlier version takes for one; want 2", got)
	}

	// As the earlier version would have left it.
	f.must(f.write(t.Context(), foreground, func(w *wtx) error {
		at, _, err := find(w.tx, "top")
		if err != nil {
			return err
		}
		ids, keys := at.tree.gone(at.ord)
		for _, k := range keys {
			err = errors.Join(err, at.tree.b.Delete(k))
		}
		for i, id := range ids {
			k := binary.BigEndian.AppendUint32(ordKey(keyGone, at.ord), uint32(i))
			err = errors.Join(err, at.tree.b.Put(k, []byte(id)))
		}
		return errors.Join(err, w.put(bucketMeta, keySchema, binary.BigEndian.AppendUint32(nil, 1)))
	}))
	before := withTree(f, "top", gone)
	f.must(f.Close())
	f.open()
	claim, err = f.Resume(t.Context(), "top", request(false))
	f.must(err)
	for erase() {
	}
	if after := withTree(f, "top", gone); before == 0 || after <= before || schemaOf(f) != 2 {
		t.Errorf("%d tenants are noted one by one and %d more together, under schema %d", before, after-before, schemaOf(f))
	}
	r, err := f.Finish(t.Context(), claim.Token, store.Verification{At: dueAt})
	f.must(err)
	ids := slices.Clone(r.Tenants)
	slices.Sort(ids)
	want := []string{"top"}
	for i := range n {
		want = append(want, fmt.Sprintf("sub-%08d", i))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("tenants on the receipt (-want +got):\n%s", diff)
	}
}

// withTree returns what of returns of the tree in which a tenant is.
func withTree(f *fixture, id string, of func(*tree) int) int {
	f.t.Helper()
	var n int
	f.must(f.view(f.t.Context(), func(tx *bolt.Tx) error {
		at, _, err := find(tx, id)
		if err == nil {
			n = of(at.tree)
		}
		return err
	}))
	return n
}
