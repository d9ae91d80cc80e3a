package boltstore

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/storetest"
)

// epoch is when the tests' tenants are made; their grace periods end at dueAt.
var (
	epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	dueAt = epoch.Add(10 * 24 * time.Hour)
)

func at(t time.Time) store.Origin { return store.Origin{Actor: store.Actor{ID: "tester"}, At: t} }

// fixture is a store under test. Its store is checked and closed at the end.
type fixture struct {
	*Store
	t   *testing.T
	dir string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	f.open()
	t.Cleanup(func() {
		if f.failure() != nil || f.db == nil {
			_ = f.Close()
			return
		}
		f.check()
		f.must(f.Close())
	})
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	s, err := Open(f.t.Context(), Options{Dir: f.dir})
	if err != nil {
		f.t.Fatal(err)
	}
	f.Store = s
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) check() {
	f.t.Helper()
	if err := f.Check(f.t.Context()); err != nil && f.t.Context().Err() == nil {
		f.t.Errorf("check: %v", err)
	}
}

func (f *fixture) create(id, parent string) {
	f.t.Helper()
	_, err := f.Create(f.t.Context(), store.Tenant{ID: id, ParentID: parent, Name: "Name of " + id}, at(epoch))
	f.must(err)
}

func (f *fixture) deactivate(id string) {
	f.t.Helper()
	_, err := f.Update(f.t.Context(), id, store.Update{Origin: at(epoch), Change: store.Deactivate(10, store.Grace{}, nil)})
	f.must(err)
}

// holdWriter keeps the writer from its next transaction until release is called.
func (f *fixture) holdWriter() (release func()) {
	f.t.Helper()
	hold, held := make(chan struct{}), make(chan struct{})
	go func() {
		_ = f.exclusive(func() error {
			close(held)
			<-hold
			return nil
		})
	}()
	<-held
	return func() { close(hold) }
}

// fill gives a tenant n resources of each kind, in batches.
func (f *fixture) fill(id string, n int) {
	f.t.Helper()
	var batch []store.Resource
	for _, k := range store.Kinds() {
		for i := range n {
			// A stride that is coprime to most n spreads the order of arrival.
			batch = append(batch, store.Resource{TenantID: id, Kind: k, ID: fmt.Sprintf("secret-%06d", i*7919%n), Data: []byte(`{"email":"secret@example.com"}`)})
			if len(batch) == 2000 {
				f.must(f.Put(f.t.Context(), batch))
				batch = batch[:0]
			}
		}
	}
	f.must(f.Put(f.t.Context(), batch))
}

// image copies the store's file as a power failure or kill would leave it
// between two transactions, and opens the copy.
func (f *fixture) image() *fixture {
	f.t.Helper()
	c := &fixture{t: f.t, dir: f.t.TempDir()}
	storetest.CopyFile(f.t, filepath.Join(f.dir, FileName), filepath.Join(c.dir, FileName))
	c.open()
	return c
}

// request is a claim at the date, in steps unless inline.
func request(inline bool) store.ClaimRequest {
	return store.ClaimRequest{Origin: at(dueAt), Owner: "tester", Lease: time.Minute, Trigger: "test", Inline: inline}
}

// complete erases and finishes a claim.
func (f *fixture) complete(tok store.Token) store.Receipt {
	f.t.Helper()
	for more := true; more; {
		e, err := f.Erase(f.t.Context(), tok, dueAt, time.Minute)
		f.must(err)
		more = e.More
	}
	r, err := f.Finish(f.t.Context(), tok, store.Verification{At: dueAt})
	f.must(err)
	return r
}
