package boltstore

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// TestCheck_FindsEveryKindOfDefect damages one thing at a time behind the
// store's back. A check that found nothing here could be trusted with nothing.
func TestCheck_FindsEveryKindOfDefect(t *testing.T) {
	tree := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketTrees).Bucket(segmentName(0, 0)) }
	change := func(b *bolt.Bucket, key []byte, fn func(r *record)) error {
		r, err := decodeRecord(b.Get(key))
		if err != nil {
			return err
		}
		fn(r)
		v, err := r.encode()
		if err != nil {
			return err
		}
		return b.Put(key, v)
	}
	replace := func(b *bolt.Bucket, key []byte, old, now string) error {
		return b.Put(key, bytes.Replace(b.Get(key), []byte(old), []byte(now), 1))
	}
	cases := map[string]struct {
		damage func(tx *bolt.Tx) error
		want   string
	}{
		"due entry lost":    {func(tx *bolt.Tx) error { return tx.Bucket(bucketDue).Delete(indexKey(dueAt, "a")) }, "not in index due"},
		"due entry foreign": {func(tx *bolt.Tx) error { return tx.Bucket(bucketDue).Put(indexKey(epoch, "zz"), make([]byte, 12)) }, "index due has 2 entries"},
		"date changed": {func(tx *bolt.Tx) error {
			return change(tree(tx), ordKey(keyTenant, 0), func(r *record) { r.EstimatedPurgeDate = epoch })
		}, "estimatedPurgeDate"},
		"id leads elsewhere": {func(tx *bolt.Tx) error {
			return tx.Bucket(bucketIDs).Put([]byte("a-sub"), appendPlace([]byte{idLive}, place{0, 0}))
		}, `"a-sub" is not where`},
		"id lost":     {func(tx *bolt.Tx) error { return tx.Bucket(bucketIDs).Delete([]byte("a-sub")) }, `"a-sub" is not where`},
		"parent lost": {func(tx *bolt.Tx) error { return tree(tx).Delete(ordKey(keyTenant, 0)) }, "which is deleted"},
		"child lost":  {func(tx *bolt.Tx) error { return tree(tx).Delete(childKey(0, 1)) }, "not among the children"},
		"depth changed": {func(tx *bolt.Tx) error {
			return change(tree(tx), ordKey(keyTenant, 1), func(r *record) { r.depth = 7 })
		}, "at depth"},
		"active below purging": {func(tx *bolt.Tx) error {
			return change(tree(tx), ordKey(keyTenant, 0), func(r *record) { r.Status = store.StatusFailed })
		}, "below"},
		"counter wrong": {func(tx *bolt.Tx) error {
			return tree(tx).Put(ordKey(keyCounts, 0), appendCounts(nil, store.Counts{Users: 9}))
		}, "the counters say"},
		"row lost":      {func(tx *bolt.Tx) error { return tree(tx).Delete(resourceKey(store.KindUser, 0, 0, "secret-000000")) }, "rows"},
		"row of nobody": {func(tx *bolt.Tx) error { return tree(tx).Put(resourceKey(store.KindUser, 0, 77, "x"), []byte("{}")) }, "which is not there"},
		"segment of nobody": {func(tx *bolt.Tx) error {
			_, err := tx.Bucket(bucketTrees).CreateBucket(segmentName(0, 9))
			return err
		}, "belongs to nothing"},
		"totals wrong": {func(tx *bolt.Tx) error {
			v := totals{nextTree: 5}
			return tx.Bucket(bucketMeta).Put(keyTotals, v.encode())
		}, "totals on record"},
		"audit edited":  {func(tx *bolt.Tx) error { return replace(tx.Bucket(bucketAudit), seqKey(2), `"tester"`, `"nobody"`) }, "does not fit its content"},
		"audit removed": {func(tx *bolt.Tx) error { return tx.Bucket(bucketAudit).Delete(seqKey(2)) }, "removed, inserted or moved"},
		"audit cut": {func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucketAudit).Cursor().Last()
			return tx.Bucket(bucketAudit).Delete(k)
		}, "audit trail ends at"},
		"receipt edited": {func(tx *bolt.Tx) error {
			return replace(tx.Bucket(bucketReceipts), []byte("p"), `"users":3`, `"users":2`)
		}, "does not fit audit entry"},
		"receipt lost":    {func(tx *bolt.Tx) error { return tx.Bucket(bucketReceipts).Delete([]byte("p")) }, "has no receipt"},
		"tombstone lost":  {func(tx *bolt.Tx) error { return tx.Bucket(bucketIDs).Delete([]byte("p")) }, `receipt of "p"`},
		"tombstone wrong": {func(tx *bolt.Tx) error { return tx.Bucket(bucketIDs).Put([]byte("p"), []byte{idTombstone, 99}) }, "tombstone of version 99"},
		"record of a newer version": {func(tx *bolt.Tx) error {
			b := tree(tx)
			v := bytes.Clone(b.Get(ordKey(keyTenant, 1)))
			v[0] = 99
			return b.Put(ordKey(keyTenant, 1), v)
		}, "version 99"},
		"header wrong": {func(tx *bolt.Tx) error {
			return tree(tx).Put([]byte{keyHeader}, (&header{nextOrd: 2, tenants: 5, nextSeg: 1}).encode())
		}, "its header says 5"},
		"foreign key": {func(tx *bolt.Tx) error { return tx.Bucket(bucketTrees).Put([]byte("x"), []byte("y")) }, "foreign key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			f.create("a-sub", "a")
			f.fill("a", 3)
			f.deactivate("a")
			f.create("p", "")
			f.fill("p", 3)
			f.deactivate("p")
			_, err := f.Claim(t.Context(), "p", request(true))
			f.must(err)
			f.check()
			f.must(f.db.Update(c.damage))
			err = f.Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check says %v; want it to say %q", err, c.want)
			}
			f.fail(err) // so that the fixture does not check it again
		})
	}
}

func TestDecode_NeverPanicsAndNeverTakesATail(t *testing.T) {
	r := &record{Tenant: store.Tenant{
		ID: "a", ParentID: "b", Name: "n", Hostname: "h", Status: store.StatusPurging, Version: 3, CreatedAt: epoch, DisabledAt: epoch,
		PurgeAfterDays: 10, EstimatedPurgeDate: dueAt, DisabledBy: store.Actor{ID: "x", Name: "y", Email: "z"},
		Hold: &store.Hold{Reason: "r", Since: epoch, Until: dueAt}, ActiveSubscriptions: 2,
		Block: &store.Block{Reason: store.BlockHold, By: "a"}, Purge: &store.Progress{PurgeID: "p", Fence: 7}, ReactivatedAt: epoch,
	}, parent: 4, depth: 5}
	b, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := decodeRecord(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes decode", n, len(b))
		}
	}
	if got, err := decodeRecord(b); err != nil || got.Purge.Fence != 7 || got.depth != 5 || got.Hold.Until != dueAt || got.ReactivatedAt != epoch {
		t.Fatalf("got %+v, %v", got, err)
	}
	huge := binary.AppendUvarint([]byte{recordVersion, 0, 0}, 1<<62)
	if _, err := decodeRecord(huge); err == nil {
		t.Fatal("a huge length decodes")
	}
}
