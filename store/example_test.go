package store_test

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// A tenant is deactivated for 15 days and may be purged from the instant of
// its date on, not a millisecond earlier.
func ExampleDeactivate() {
	disabledAt := time.Date(2023, 7, 15, 14, 1, 22, 0, time.UTC)
	t := store.Tenant{ID: "acme", Status: store.StatusActive}
	change := store.Deactivate(15, store.DefaultGrace(), nil)
	if err := change.Apply(&t, nil, store.Origin{Actor: store.Actor{ID: "ops"}, At: disabledAt}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Status, store.FormatTime(t.EstimatedPurgeDate))
	fmt.Println(t.Due(t.EstimatedPurgeDate.Add(-time.Millisecond)), t.Due(t.EstimatedPurgeDate))
	// Output:
	// disabled 2023-07-30T14:01:22.000Z
	// false true
}

// The protected list overrules everybody; the error says why in words and, for
// a program, in a code.
func ExampleCodeOf() {
	t := store.Tenant{ID: "platform", Status: store.StatusActive}
	protected := func(id string) bool { return id == "platform" }
	err := store.Deactivate(0, store.Grace{}, protected).Apply(&t, nil, store.Origin{At: time.Unix(1e9, 0)})
	fmt.Println(store.CodeOf(err))
	fmt.Println(err)
	// Output:
	// precondition
	// tenant "platform" is protected by the configuration (tenants.protected)
}
