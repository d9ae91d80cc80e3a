package boltstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// named is a tenant with a host name.
func named(id, host string) store.Tenant { return store.Tenant{ID: id, Hostname: host} }

// rename is a change of a host name.
func rename(host string) store.Update {
	return store.Update{Origin: at(epoch), Change: store.Edit(nil, &host, nil)}
}

// uniqueHosts is a fixture whose tenants have host names of their own.
func uniqueHosts(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.opt.UniqueHosts = true
	return f
}

// wantTaken fails the test unless an error says that a tenant has the host name.
func wantTaken(t *testing.T, err error, by string) {
	t.Helper()
	if e := new(store.Error); store.CodeOf(err) != store.Conflict || !errors.As(err, &e) || e.Field != "hostname" ||
		e.Error() != fmt.Sprintf("hostname: tenant %q has it; want one that no other tenant has", by) {
		t.Errorf("error %v; want a conflict with %s", err, by)
	}
}

func TestUniqueHosts_ANameIsOfOneTenant(t *testing.T) {
	f := uniqueHosts(t)
	_, err := f.Create(t.Context(), named("a", "Shop.example"), at(epoch))
	f.must(err)
	_, err = f.Create(t.Context(), named("b", "shop.EXAMPLE"), at(epoch))
	wantTaken(t, err, "a")
	_, err = f.Create(t.Context(), named("b", "other.example"), at(epoch))
	f.must(err)
	_, err = f.Update(t.Context(), "b", rename("SHOP.example"))
	wantTaken(t, err, "a")
	// Its own, in other letters, is its own; what it gives up is free.
	for _, host := range []string{"SHOP.example", "", "third.example"} {
		_, err = f.Update(t.Context(), "a", rename(host))
		f.must(err)
	}
	_, err = f.Update(t.Context(), "b", rename("shop.example"))
	f.must(err)
	f.deactivate("b")
	c, err := f.Claim(t.Context(), "b", request(true))
	f.must(err)
	if c.Receipt == nil {
		t.Fatal("the claim did not purge the tenant at once")
	}
	_, err = f.Create(t.Context(), named("c", "shop.example"), at(epoch))
	f.must(err)
}

// What is shared already, by an import, stays as it is and gets no further tenants.
func TestUniqueHosts_WhatIsImportedMayShareAndGetsNoMore(t *testing.T) {
	f := uniqueHosts(t)
	_, err := f.ImportBatch(t.Context(), store.Batch{Tenants: []store.Tenant{
		{ID: "a", Hostname: "shared.example", Status: store.StatusActive}, {ID: "b", Hostname: "Shared.example", Status: store.StatusActive},
	}}, at(epoch))
	f.must(err)
	_, err = f.Create(t.Context(), named("c", "shared.example"), at(epoch))
	if store.CodeOf(err) != store.Conflict {
		t.Errorf("a third one: %v", err)
	}
	f.deactivate("a") // a change of something else
	_, err = f.Update(t.Context(), "a", rename("a.example"))
	f.must(err)
	_, err = f.Update(t.Context(), "a", rename("shared.example"))
	wantTaken(t, err, "b")
}

// Of many at a time, which share transactions, one gets the name.
func TestUniqueHosts_OfManyAtATimeOneGetsTheName(t *testing.T) {
	f := uniqueHosts(t)
	for i := range 16 {
		f.create(fmt.Sprint("t", i), "")
	}
	for round := range 10 {
		host := fmt.Sprintf("h%d.example", round)
		var got atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = f.Create(t.Context(), named(fmt.Sprintf("n%d-%d", round, i), host), at(epoch))
				} else {
					_, err = f.Update(t.Context(), fmt.Sprint("t", i), rename(host))
				}
				switch store.CodeOf(err) {
				case "":
					got.Add(1)
				case store.Conflict:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d tenants got %s", got.Load(), host)
		}
	}
}
