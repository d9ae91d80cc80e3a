package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

func updateCases() []testCase {
	return []testCase{
		{"GrowsTheVersionByOneAndIsAudited_G8", updateVersions},
		{"RefusesAStaleVersion_G2", func(e *env) {
			e.create("acme", "")
			e.deactivate("acme", t0, 10)
			e.changesNothing("a stale update", func() {
				for _, v := range []int64{1, 3, 1 << 40, -1} {
					_, err := e.s.Update(e.ctx(), "acme", store.Update{Origin: by(t0), Version: v, Change: store.Reactivate()})
					e.wantCode(err, store.Conflict, fmt.Sprintf("Update of version %d, the record being at 2", v))
				}
			})
			got, err := e.s.Update(e.ctx(), "acme", store.Update{Origin: by(t0), Version: 2, Change: store.Reactivate()})
			if err != nil || got.Version != 3 {
				e.t.Errorf("Update of version 2: %v, version %d; want 3", err, got.Version)
			}
		}},
		{"OfNothingChangesNothing", updateNothing},
		{"RefusesWhatTheRecordMayNotHold", func(e *env) {
			e.create("acme", "")
			long, control, host, subs := strings.Repeat("x", store.MaxNameLength+1), "a\nb", "-bad", -1
			e.changesNothing("an invalid update", func() {
				for field, c := range map[string]store.Change{
					"name": store.Edit(&long, nil, nil), "hostname": store.Edit(nil, &host, nil), "activeSubscriptions": store.Edit(nil, nil, &subs),
					"hold.reason": store.SetHold("", time.Time{}), "until": store.SetHold("r", t0), "purgeAfterDays": store.Deactivate(91, store.Grace{}, nil),
				} {
					_, err := e.tryUpdate("acme", t0, c)
					e.wantField(err, store.Invalid, field, string(c.Action))
				}
				_, err := e.tryUpdate("acme", t0, store.Edit(&control, nil, nil))
				e.wantField(err, store.Invalid, "name", "a name with a line break")
				_, err = e.tryUpdate("acme", t0, store.SetHold(control, time.Time{}))
				e.wantField(err, store.Invalid, "hold.reason", "a reason with a line break")
			})
		}},
		{"GivesTheNearestAncestorThatIsNotActive", updateAbove},
		{"CutsTimesToMilliseconds", func(e *env) {
			e.create("acme", "")
			at := t0.Add(time.Millisecond + 999*time.Microsecond)
			until := t0.Add(time.Hour + 999*time.Microsecond)
			e.deactivate("acme", at.In(time.FixedZone("", -3600)), 10)
			got := e.update("acme", at, store.SetHold("r", until))
			ms := t0.Add(time.Millisecond)
			for name, c := range map[string][2]time.Time{
				"disabledAt": {got.DisabledAt, ms}, "estimatedPurgeDate": {got.EstimatedPurgeDate, ms.Add(10 * day)},
				"updatedAt": {got.UpdatedAt, ms}, "hold.since": {got.Hold.Since, ms}, "hold.until": {got.Hold.Until, t0.Add(time.Hour)},
			} {
				if !c[0].Equal(c[1]) {
					e.t.Errorf("%s is %v; want %v", name, c[0], c[1])
				}
			}
			e.equal(got, e.tenant("acme"), "the record as read again")
		}},
		{"KeepsAHoldWithItsActor", func(e *env) {
			e.create("acme", "")
			e.update("acme", t0, store.SetHold("litigation", t0.Add(time.Hour)))
			e.update("acme", t0.Add(time.Minute), store.SetHold("audit", time.Time{}))
			e.reopen()
			want := &store.Hold{Reason: "audit", Actor: alice, Since: t0.Add(time.Minute)}
			e.equal(want, e.tenant("acme").Hold, "the hold")
			if got := e.update("acme", t0.Add(time.Hour), store.Release()); got.Hold != nil {
				e.t.Errorf("released, and there is a hold: %+v", got.Hold)
			}
		}},
	}
}

// Every change gives the next version, its time and one audit entry that says
// from where to where.
func updateVersions(e *env) {
	e.create("acme", "")
	name, host, subs, none := "Acme 2", "acme2.example", 4, 0
	active, disabled := store.StatusActive, store.StatusDisabled
	for i, c := range []struct {
		change   store.Change
		from, to store.Status
	}{
		{store.Edit(&name, nil, nil), active, active},
		{store.Edit(nil, &host, nil), active, active},
		{store.Edit(nil, nil, &subs), active, active},
		{store.Edit(nil, nil, &none), active, active},
		{store.SetHold("r", time.Time{}), active, active},
		{store.Deactivate(10, store.Grace{}, nil), active, disabled},
		{store.Deactivate(11, store.Grace{}, nil), disabled, disabled},
		{store.Release(), disabled, disabled},
		{store.Reactivate(), disabled, active},
	} {
		at := t0.Add(time.Duration(i+1) * time.Minute)
		head := e.head()
		got := e.update("acme", at, c.change)
		want := int64(i + 2)
		if got.Version != want || got.Status != c.to || !got.UpdatedAt.Equal(at) || !got.CreatedAt.Equal(t0) {
			e.t.Fatalf("after %s: version %d, %s, updated %v; want %d, %s, %v", c.change.Action, got.Version, got.Status, got.UpdatedAt, want, c.to, at)
		}
		e.equal(got, e.tenant("acme"), "the record as read again")
		entries := e.entries(head)
		if len(entries) != 1 {
			e.t.Fatalf("%s wrote %d audit entries; want 1", c.change.Action, len(entries))
		}
		x := entries[0]
		if x.Action != c.change.Action || x.TenantID != "acme" || x.Actor != "alice" || !x.At.Equal(at) || x.FromVersion != want-1 || x.ToVersion != want {
			e.t.Errorf("%s wrote %+v", c.change.Action, x)
		}
		if c.from != c.to && (x.FromStatus != c.from || x.ToStatus != c.to) {
			e.t.Errorf("%s wrote from %q to %q; want %s to %s", c.change.Action, x.FromStatus, x.ToStatus, c.from, c.to)
		}
	}
}

// A change that leaves the record as it is gives no version, no time and no
// audit entry, and is no error.
func updateNothing(e *env) {
	e.create("active", "")
	e.disabled("disabled", "")
	e.update("disabled", t0, store.SetHold("r", t0.Add(time.Hour)))
	name, host, subs := "Secretname of active", id2host("active"), 0
	e.changesNothing("a change of nothing", func() {
		for _, c := range []struct {
			id     string
			change store.Change
		}{
			{"active", store.Reactivate()},
			{"active", store.Release()},
			{"active", store.Edit(nil, nil, nil)},
			{"active", store.Edit(&name, &host, &subs)},
			{"disabled", store.Edit(nil, nil, nil)},
			{"disabled", store.Deactivate(10, store.Grace{}, nil)}, // of the same instant and actor
		} {
			at := t0.Add(time.Minute)
			if c.change.Action == store.ActionDeactivate {
				at = t0
			}
			before := e.tenant(c.id)
			got, err := e.tryUpdate(c.id, at, c.change)
			if err != nil {
				e.t.Errorf("%s of %q: %v", c.change.Action, c.id, err)
				continue
			}
			e.equal(before, got, fmt.Sprintf("%s of %q returns", c.change.Action, c.id))
		}
	})
}

func updateAbove(e *env) {
	e.createAll("root", "mid<root", "leaf<mid", "beside<root")
	above := func(id string) string {
		e.t.Helper()
		seen := "not called"
		probe := store.Change{Action: store.ActionEdit, Apply: func(_ *store.Tenant, above *store.Tenant, _ store.Origin) error {
			seen = ""
			if above != nil {
				seen = fmt.Sprintf("%s is %s", above.ID, above.Status)
			}
			return nil
		}}
		e.update(id, t0, probe)
		return seen
	}
	want := func(id, want string) {
		e.t.Helper()
		if got := above(id); got != want {
			e.t.Errorf("above %q: %q; want %q", id, got, want)
		}
	}
	want("leaf", "")
	e.deactivate("leaf", t0, 10)
	want("leaf", "") // the tenant itself is not above itself
	e.deactivate("root", t0, 20)
	want("root", "")
	want("leaf", "root is disabled")
	want("beside", "root is disabled")
	e.deactivate("mid", t0, 10)
	want("leaf", "mid is disabled")
	want("beside", "root is disabled")
	e.claim("mid", due10)
	want("beside", "root is disabled")
	want("leaf", "mid is purging")
}
