package main

import (
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestReceipt_G5_SaysOfWhatTheCountsAreALowerBound(t *testing.T) {
	const bound = "no: a lost answer or a crash made them a lower bound"
	for want, r := range map[string]store.Receipt{
		"yes": {CountsExact: true},
		bound: {}, // of an earlier version
		"no: something that was counted is unaccounted for": {Unaccounted: map[string]store.Counts{"idp": {Users: 1}}},
		bound + ", in idp of user":                          {LowerBounds: []store.LowerBound{{Target: "idp", Kind: store.KindUser}}},
		bound + ", in crm of apiKey, user; in idp": {
			LowerBounds: []store.LowerBound{{Target: "crm", Kind: store.KindAPIKey}, {Target: "crm", Kind: store.KindUser}, {Target: "idp"}},
		},
	} {
		if got := exactText(r); got != want {
			t.Errorf("of %v: %q, want %q", r.LowerBounds, got, want)
		}
	}
}
