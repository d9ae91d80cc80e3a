package boltstore

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// reactivate has a person reactivate a tenant.
func (f *fixture) reactivate(id string) {
	f.t.Helper()
	f.deactivate(id)
	_, err := f.Update(f.t.Context(), id, store.Update{Origin: at(epoch), Change: store.Reactivate()})
	f.must(err)
}

// sync puts a sync of a source on record.
func (f *fixture) sync(rows int64) {
	f.t.Helper()
	_, err := f.ChangeSource(f.t.Context(), store.SourceChange{Apply: func(s *store.SourceState, o store.Origin) (map[string]string, error) {
		s.Name, s.LastGood = "crm", &store.Sync{Result: store.SyncGood, Counts: store.SyncCounts{Rows: rows}}
		return nil, nil
	}}, at(epoch))
	f.must(err)
}

func TestDecode_G2_ReadsRecordsOfAVersionThatKnewOfNoReactivation(t *testing.T) {
	// One that version 3 of the schema wrote, of an active tenant with a hold.
	old, err := hex.DecodeString("01000200000280d0eab6b73380d0eab6b73300000000016100014e0001720178000080d0eab6b73300")
	if err != nil {
		t.Fatal(err)
	}
	want := record{Tenant: store.Tenant{ID: "a", Name: "N", Status: store.StatusActive, Version: 2, CreatedAt: epoch, UpdatedAt: epoch,
		Hold: &store.Hold{Reason: "r", Actor: store.Actor{ID: "x"}, Since: epoch}}}
	got, err := decodeRecord(old)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Tenant, got.Tenant); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if b, err := got.encode(); err != nil || !bytes.Equal(old, b) {
		t.Errorf("written again it is %x, %v; want %x", b, err, old)
	}
	want.ReactivatedAt = dueAt
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err = decodeRecord(b); err != nil || !got.ReactivatedAt.Equal(dueAt) {
		t.Errorf("reactivated at %s, %v; want %s", got.ReactivatedAt, err, dueAt)
	}
	b[2] &^= hasReactivatedAt // what an earlier version makes of it
	if got, err = decodeRecord(b); err != nil || got.ReactivatedAt.Equal(dueAt) || got.Hold == nil {
		t.Errorf("without knowing of it: %+v, %v", got, err)
	}
}

// An earlier version would let the source disable again who was reactivated. As
// long as there is no source, or nobody was, it takes the store as its own.
func TestUpdate_G2_AnEarlierVersionRefusesAStoreWhoseReactivationsItWouldForget(t *testing.T) {
	batch := func(f *fixture, id string) {
		f.t.Helper()
		_, err := f.ImportBatch(f.t.Context(), store.Batch{Tenants: []store.Tenant{{ID: id, Status: store.StatusActive, ReactivatedAt: epoch}}}, at(epoch))
		f.must(err)
	}
	for name, c := range map[string]struct {
		steps []func(f *fixture)
		want  uint32
	}{
		"reactivated, no source":       {[]func(*fixture){func(f *fixture) { f.reactivate("a") }, func(f *fixture) { batch(f, "b") }}, schemaFirst},
		"a source, nobody reactivated": {[]func(*fixture){func(f *fixture) { f.sync(1) }, func(f *fixture) { f.deactivate("a"); f.sync(2) }}, schemaFirst},
		"a source, then reactivated":   {[]func(*fixture){func(f *fixture) { f.sync(1) }, func(f *fixture) { f.reactivate("a") }}, schemaReactivated},
		"a source, then imported":      {[]func(*fixture){func(f *fixture) { f.sync(1) }, func(f *fixture) { batch(f, "b") }}, schemaReactivated},
		"reactivated, then a source":   {[]func(*fixture){func(f *fixture) { f.reactivate("a") }, func(f *fixture) { f.sync(1) }}, schemaReactivated},
		"imported, then a source":      {[]func(*fixture){func(f *fixture) { batch(f, "b") }, func(f *fixture) { f.sync(1) }}, schemaReactivated},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			for _, step := range c.steps {
				if got := schemaOf(f); got != schemaFirst {
					t.Fatalf("schema %d ahead of a step; want %d", got, schemaFirst)
				}
				step(f)
				f.must(f.Close())
				f.open()
			}
			if got := schemaOf(f); got != c.want {
				t.Errorf("schema %d; want %d", got, c.want)
			}
		})
	}
}
