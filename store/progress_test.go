package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// TestProgress_WhatItHeldBeforeIsLeftAsItIs: records that a reader has share it.
func TestProgress_WhatItHeldBeforeIsLeftAsItIs(t *testing.T) {
	held := func() store.Progress {
		one := func() map[string]store.Counts { return map[string]store.Counts{"crm": {Users: 1}} }
		return store.Progress{
			Targets: one(), Counted: one(), Gone: one(), Accounts: append(make([]string, 0, 4), "crm"),
			CountsInexact: true, LowerBounds: append(make([]store.LowerBound, 0, 4), store.LowerBound{Target: "crm"}),
			Unaccounted: map[string]store.Unaccounted{"crm": {Counts: store.Counts{Users: 1}}},
		}
	}
	before := held()
	now, with := before, held()
	for _, target := range []string{"crm", "ldap"} {
		now.Take(&store.Advance{
			At: time.Now(), Target: target, Deleted: store.Counts{Users: 2}, Account: true, LowerBounds: []store.LowerBound{{Target: "a", Kind: store.KindUser}},
			Counted: &store.Counts{Users: 9}, Gone: store.Counts{Users: 2}, Unaccounted: &store.Unaccounted{Counts: store.Counts{Users: 2}},
		})
	}
	if diff := cmp.Diff(map[string]store.Counts{"crm": {Users: 3}, "ldap": {Users: 2}}, now.Targets); diff != "" {
		t.Errorf("Take (-want +got):\n%s", diff)
	}
	with.Targets["scim"] = store.Counts{Users: 4}
	now.Absorb(&with)
	if diff := cmp.Diff(map[string]store.Counts{"crm": {Users: 4}, "ldap": {Users: 2}, "scim": {Users: 4}}, now.Targets); diff != "" {
		t.Errorf("Absorb (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(held(), before); diff != "" {
		t.Errorf("what was held before (-want +got):\n%s", diff)
	}
	if got := before.Accounts[:2][1]; got != "" {
		t.Errorf("the array of the accounts holds %q", got)
	}
}
