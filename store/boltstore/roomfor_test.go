package boltstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// family makes a tenant due with n others below it.
func (f *fixture) family(top, parent string, n, nameLength int) {
	f.t.Helper()
	f.create(top, parent)
	b := store.Batch{}
	for i := range n {
		b.Tenants = append(b.Tenants, store.Tenant{
			ID: fmt.Sprintf("%s-%030d", top, i), ParentID: top, Status: store.StatusActive, Name: strings.Repeat("n", nameLength),
		})
	}
	_, err := f.ImportBatch(f.t.Context(), b, at(epoch))
	f.must(err)
	f.deactivate(top)
}

// erased claims a tenant in steps and removes all but what Finish does.
func (f *fixture) erased(id string) store.Token {
	f.t.Helper()
	c, err := f.Claim(f.t.Context(), id, request(false))
	f.must(err)
	for again := true; again; {
		e, err := f.Erase(f.t.Context(), c.Token, dueAt, time.Minute)
		f.must(err)
		again = e.More
	}
	return c.Token
}

// rooms returns what a claim of a tenant, and its receipt, are said to write
// beyond what any step may.
func (f *fixture) rooms(id string) (claim, finish int64) {
	f.t.Helper()
	f.must(f.view(f.t.Context(), func(tx *bolt.Tx) error {
		sp, _, err := find(tx, id)
		if err != nil {
			return err
		}
		nodes, err := sp.tree.subtree(sp.ord)
		claim, finish = claimRoom(sp.tree, nodes), finishRoom(sp.tree, sp.ord, nodes)
		return err
	}))
	return claim, finish
}

// What a claim and the receipt of many tenants are said to take covers what is
// written, and is not several times that.
func TestSpace_TheRoomForManyTenantsIsWhatTheyTake(t *testing.T) {
	const n, steps = 12_000, 1 << 20 // what stepRoom is for
	for _, nameLength := range []int{0, 600} {
		f := newFixture(t)
		written := func() int64 { s := f.db.Stats(); return s.TxStats.GetPageAlloc() }
		check := func(what string, before, want int64) {
			t.Helper()
			if wrote := written() - before; wrote > want+steps || want > 2*wrote {
				t.Errorf("names of %d: the %s of %d tenants wrote %d bytes; %d were wanted", nameLength, what, n, wrote, want)
			}
		}
		f.family("a", "", n, nameLength)
		want, _ := f.rooms("a")
		before := written()
		c, err := f.Claim(t.Context(), "a", request(false))
		f.must(err)
		check("claim", before, want)
		f.must(f.Yield(t.Context(), c.Token, dueAt))
		c, err = f.Resume(t.Context(), "a", request(false))
		f.must(err)
		for again := true; again; {
			e, err := f.Erase(t.Context(), c.Token, dueAt, time.Minute)
			f.must(err)
			again = e.More
		}
		_, want = f.rooms("a")
		before = written()
		_, err = f.Finish(t.Context(), c.Token, store.Verification{At: dueAt})
		f.must(err)
		check("receipt", before, want)
	}
}

// Those that went with other claims of the tree are on other receipts.
func TestSpace_TheReceiptOfATenantTakesNoRoomForOthersOfItsTree(t *testing.T) {
	f := newFixture(t)
	f.create("root", "")
	f.family("big", "root", 3*inlineTenants, 0)
	f.family("small", "root", 2, 0)
	tok := f.erased("big")
	if _, own := f.rooms("big"); own < 3*inlineTenants*32 {
		t.Errorf("%d bytes for the receipt of the many", own)
	}
	_, err := f.Finish(t.Context(), tok, store.Verification{At: dueAt})
	f.must(err)
	if _, other := f.rooms("small"); other > 1<<10 {
		t.Errorf("%d bytes for the receipt of three", other)
	}
}

// What only a giant lacks does not close the gate, and is said to be its own.
// Resume refuses what Finish would, before anything is written.
func TestSpace_G11_WhatOnlyAGiantLacksIsItsOwn(t *testing.T) {
	f := newFixture(t)
	f.family("giant", "", 3*inlineTenants, 0)
	f.family("small", "", 2, 0)
	var d disk
	d.on(f)
	own := func(what string, err error) {
		t.Helper()
		wantNoRoom(t, what, err)
		var full *store.SpaceError
		if errors.As(err, &full) && !full.Own {
			t.Errorf("%s: %v is not its own", what, err)
		}
		if g, err := f.Gates(t.Context()); err != nil || g.Space != nil {
			t.Errorf("%s: gate %+v, %v", what, g.Space, err)
		}
	}
	// No free pages of the file count, so that each bound is exact.
	reach := func(more int64) {
		d.free.Store(stepRoom + more - min(int64(f.db.Stats().FreePageN)*f.pageSize, (stepRoom+more)/2))
	}
	claim, _ := f.rooms("giant")
	reach(claim - 1)
	_, err := f.Claim(t.Context(), "giant", request(false))
	own("claim", err)
	_, err = f.Claim(t.Context(), "small", request(true))
	f.must(err)

	d.free.Store(1 << 40)
	tok := f.erased("giant")
	f.create("b", "") // so that pages are free and not pending
	_, finish := f.rooms("giant")
	reach(finish - 1)
	_, err = f.Finish(t.Context(), tok, store.Verification{At: dueAt})
	own("finish", err)
	f.must(f.Yield(t.Context(), tok, dueAt))
	f.create("c", "")
	reach(finish - 1)
	head := f.head
	_, err = f.Resume(t.Context(), "giant", request(false))
	own("resume", err)
	if f.head != head {
		t.Error("a refused Resume was written")
	}
	reach(finish + 1<<20)
	again, err := f.Resume(t.Context(), "giant", request(false))
	f.must(err)
	f.create("d", "")
	reach(finish + 1<<20)
	_, err = f.Finish(t.Context(), again.Token, store.Verification{At: dueAt})
	f.must(err)

	d.free.Store(0)
	var full *store.SpaceError
	if err := f.Put(t.Context(), []store.Resource{{TenantID: "b", Kind: store.KindUser, ID: "u"}}); !errors.As(err, &full) || full.Own {
		t.Errorf("a full disk: %v", err)
	}
}
