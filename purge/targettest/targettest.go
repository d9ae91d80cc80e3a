// Package targettest is the suite that every [purge.Target] passes. A test of a
// target is:
//
//	func TestTarget(t *testing.T) {
//		targettest.Run(t, targettest.Harness{New: newSystem})
//	}
package targettest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Harness makes systems for a target to be tried on.
type Harness struct {
	// New returns a system that holds nothing, with a target that is connected
	// to it. It is called for every test; clean up with t.Cleanup.
	New func(t *testing.T) System
	// Many is a number of resources that needs more than one page or batch of
	// the system; 0 is 250.
	Many int
	// Patience is how long a call may take; 0 is 10 s. It bounds hanging, it
	// measures nothing.
	Patience time.Duration
}

// System is what the suite needs to know about a system beside its target.
type System struct {
	Target purge.Target
	// Add creates n more resources of one kind for a tenant. An id outside the
	// alphabet of [store.CheckID] may be refused with an error; then the suite
	// does without that tenant.
	Add func(tenantID string, kind store.Kind, n int) error
	// Left counts what a tenant has, past the target.
	Left func(tenantID string, kind store.Kind) (int64, error)
	// Break makes the system unreachable, or its answers unusable, for the rest
	// of the test. nil skips the tests that need it.
	Break func()
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Many == 0 {
		h.Many = 250
	}
	if h.Patience == 0 {
		h.Patience = 10 * time.Second
	}
	for _, c := range []struct {
		name string
		run  func(*trial)
	}{
		{"IdentityIsConstantAndValid", identity},
		{"CountSaysWhatTheSystemHolds", counts},
		{"CountIsOfTheTenantAndKindAlone", countIsolated},
		{"CountSeesWhatIsAddedAfterAPurge", countIndependent},
		{"CountIsRightWhileAnotherTenantIsPurged", countBesidePurge},
		{"PurgeRemovesEverythingInSteps", purgesInSteps},
		{"PurgeHonoursLimit", honoursLimit},
		{"PurgeCountsExactly", countsExactly},
		{"MoreIsFalseOnlyWhenNothingIsLeft", moreIsTrue},
		{"PurgeAgainRemovesNothingAndSucceeds", idempotent},
		{"ResumedPurgeOfWhatIsGoneSucceeds", resumedIdempotent},
		{"UnknownTenantIsEmpty", unknownTenant},
		{"PurgeLeavesOtherKinds", otherKinds},
		{"PurgeLeavesConfusableTenants", confusable},
		{"CancelledContextReturns", cancelledBefore},
		{"CancelledMidBatchAccountsAndResumes", cancelledMidway},
		{"ConcurrentTenantsDoNotMix", concurrentTenants},
		{"ConcurrentPurgesOfOneTenantCountOnce", concurrentSame},
		{"BrokenSystemIsAnErrorNotAbsence", brokenSystem},
		{"GroupCountsTheSum", groupCounts},
		{"GroupPurgesInStepsAndCountsExactly", groupPurges},
		{"GroupLeavesConfusableTenants", groupIsolated},
		{"AccountIsOfThePurgeAlone", accountIsKept},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(&trial{T: t, h: h, sys: h.New(t)})
		})
	}
}

// trial is one test with its system.
type trial struct {
	*testing.T
	h   Harness
	sys System
}

// add creates resources or ends the test.
func (t *trial) add(tenant string, kind store.Kind, n int) {
	t.Helper()
	if err := t.sys.Add(tenant, kind, n); err != nil {
		t.Fatalf("harness: add %d %s to %q: %v", n, kind, tenant, err)
	}
}

// left asks the system, past the target.
func (t *trial) left(tenant string, kind store.Kind) int64 {
	t.Helper()
	n, err := t.sys.Left(tenant, kind)
	if err != nil {
		t.Fatalf("harness: count %s of %q: %v", kind, tenant, err)
	}
	return n
}

// wantLeft fails unless the system holds n.
func (t *trial) wantLeft(tenant string, kind store.Kind, n int) {
	t.Helper()
	if got := t.left(tenant, kind); got != int64(n) {
		t.Errorf("the system holds %d %s of %q, want %d", got, kind, tenant, n)
	}
}

// count calls the target.
func (t *trial) count(tenant string, kind store.Kind) int64 {
	t.Helper()
	n, err := patient(t, func() (int64, error) { return t.sys.Target.Count(context.Background(), tenant, kind) })
	if err != nil {
		t.Fatalf("Count(%q, %s): %v", tenant, kind, err)
	}
	return n
}

// step calls the target once.
func (t *trial) step(ctx context.Context, r purge.Request) (purge.Removed, error) {
	t.Helper()
	return patient(t, func() (purge.Removed, error) { return t.sys.Target.Purge(ctx, r) })
}

// purge calls the target until there is no more, and returns what it said to
// have removed. It ends the test when the target makes no progress.
func (t *trial) purge(r purge.Request) int64 {
	t.Helper()
	var sum int64
	for idle := 0; ; {
		did, err := t.step(context.Background(), r)
		if err != nil {
			t.Fatalf("Purge(%+v): %v", r, err)
		}
		if did.Deleted < 0 {
			t.Fatalf("Purge(%+v): removed %d", r, did.Deleted)
		}
		sum += did.Deleted
		if !did.More {
			return sum
		}
		if did.Deleted > 0 {
			idle = 0
		} else if idle++; idle == 3 {
			t.Fatalf("Purge(%+v): three calls removed nothing and said that there is more", r)
		}
	}
}

// patient runs a call and ends the test when it does not return.
func patient[T any](t *trial, fn func() (T, error)) (T, error) {
	t.Helper()
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: fmt.Errorf("the call panicked or ended its goroutine")}
		defer func() {
			if r := recover(); r != nil {
				a.err = fmt.Errorf("panic: %v", r)
			}
			answers <- a
		}()
		v, err := fn()
		a = answer{v, err}
	}()
	timer := time.NewTimer(t.h.Patience)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.v, a.err
	case <-timer.C:
		t.Fatalf("the call did not return within %s", t.h.Patience)
		panic("unreachable")
	}
}
