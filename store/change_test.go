package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantpurge/purger/store"
)

var alice = store.Actor{ID: "alice", Name: "Alice A", Email: "alice@acme.example"}

// origin is alice at an instant with a part finer than a millisecond.
func origin(at time.Time) store.Origin {
	return store.Origin{Actor: alice, At: at.Add(123 * time.Microsecond)}
}

func TestDeactivate_BeginsTheGracePeriod(t *testing.T) {
	tn := store.Tenant{ID: "a", Status: store.StatusActive, Version: 4, Block: &store.Block{Reason: store.BlockHold, By: "a"}}
	if err := store.Deactivate(15, store.Grace{}, nil).Apply(&tn, nil, origin(t0)); err != nil {
		t.Fatal(err)
	}
	want := store.Tenant{ID: "a", Status: store.StatusDisabled, Version: 4, DisabledAt: t0, PurgeAfterDays: 15,
		EstimatedPurgeDate: time.Date(2026, 1, 20, 10, 0, 0, 0, time.UTC), DisabledBy: alice}
	if diff := cmp.Diff(want, tn); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if err := tn.CheckDate(); err != nil {
		t.Error(err)
	}
}

func TestDeactivate_AgainBeginsAnew_G1(t *testing.T) {
	tn := disabled("a")
	later := t0.Add(200 * time.Hour)
	if err := store.Deactivate(0, store.Grace{}, nil).Apply(&tn, nil, origin(later)); err != nil {
		t.Fatal(err)
	}
	if want := later.Add(30 * 24 * time.Hour); !tn.EstimatedPurgeDate.Equal(want) {
		t.Errorf("date %v; want %v", tn.EstimatedPurgeDate, want)
	}
}

func TestDeactivate_IsAllowedBelowADisabledAncestor(t *testing.T) {
	above, tn := disabled("root"), store.Tenant{ID: "a", ParentID: "root", Status: store.StatusActive}
	if err := store.Deactivate(10, store.Grace{}, nil).Apply(&tn, &above, origin(t0)); err != nil {
		t.Error(err)
	}
}

func TestChanges_RefuseWhatIsPastThePointOfNoReturn_G2(t *testing.T) {
	name, subs := "New", 1
	for _, status := range []store.Status{store.StatusPurging, store.StatusFailed, store.StatusDeleted} {
		for _, c := range []store.Change{
			store.Deactivate(10, store.Grace{}, nil), store.Reactivate(), store.SetHold("r", time.Time{}), store.Release(),
			store.Edit(&name, nil, nil), store.Edit(nil, nil, &subs),
		} {
			tn := disabled("a")
			tn.Status, tn.Hold = status, &store.Hold{Reason: "old"}
			before := tn
			if err := c.Apply(&tn, nil, origin(t0)); store.CodeOf(err) != store.Precondition {
				t.Errorf("%s of a tenant that is %s: %v; want a precondition error", c.Action, status, err)
			}
			if !reflect.DeepEqual(before, tn) {
				t.Errorf("%s of a tenant that is %s was refused and changed it", c.Action, status)
			}
		}
	}
}

func TestDeactivate_RefusesDaysAndProtected(t *testing.T) {
	for _, days := range []int{-1, 1, 9, 91, 1 << 40} {
		tn := store.Tenant{ID: "a", Status: store.StatusActive}
		wantInvalid(t, store.Deactivate(days, store.Grace{}, nil).Apply(&tn, nil, origin(t0)), "purgeAfterDays")
		if tn.Status != store.StatusActive {
			t.Errorf("%d days: refused, and the tenant is %s", days, tn.Status)
		}
	}
	tn := store.Tenant{ID: "a", Status: store.StatusActive}
	if err := store.Deactivate(10, store.Grace{}, protect("a")).Apply(&tn, nil, origin(t0)); store.CodeOf(err) != store.Precondition {
		t.Errorf("a protected tenant: %v; want a precondition error", err)
	}
}

func TestReactivate_CancelsCompletely(t *testing.T) {
	tn := disabled("a")
	tn.DisabledBy, tn.Block = alice, &store.Block{Reason: store.BlockLaterDate, By: "b"}
	tn.Hold = &store.Hold{Reason: "litigation"}
	if err := store.Reactivate().Apply(&tn, nil, origin(t0)); err != nil {
		t.Fatal(err)
	}
	want := store.Tenant{ID: "a", Status: store.StatusActive, Hold: &store.Hold{Reason: "litigation"}, ReactivatedAt: t0}
	if diff := cmp.Diff(want, tn); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestReactivate_OfAnActiveTenantChangesNothing(t *testing.T) {
	tn := store.Tenant{ID: "a", Status: store.StatusActive, Version: 3}
	before := tn
	if err := store.Reactivate().Apply(&tn, nil, origin(t0)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, tn) {
		t.Errorf("it became %+v", tn)
	}
}

func TestReactivate_RefusedBelowATenantThatIsNotActive(t *testing.T) {
	above := disabled("root")
	for _, tn := range []store.Tenant{disabled("a"), {ID: "a", Status: store.StatusActive}} {
		if err := store.Reactivate().Apply(&tn, &above, origin(t0)); store.CodeOf(err) != store.Precondition {
			t.Errorf("%s: %v; want a precondition error", tn.Status, err)
		}
	}
}

func TestSetHold_WantsAnEndInTheFuture(t *testing.T) {
	now := t0
	for until, ok := range map[time.Time]bool{{}: true, now.Add(time.Millisecond): true, now: false, now.Add(-time.Hour): false, now.Add(time.Microsecond): false} {
		tn := disabled("a")
		err := store.SetHold("r", until).Apply(&tn, nil, store.Origin{Actor: alice, At: now})
		if !ok {
			wantInvalid(t, err, "until")
			continue
		}
		if err != nil || tn.Hold == nil || !tn.Hold.Until.Equal(until) || !tn.Hold.Since.Equal(now) || tn.Hold.Actor != alice || tn.Hold.Reason != "r" {
			t.Errorf("until %v: hold %+v, %v", until, tn.Hold, err)
		}
	}
}

func TestRetry_RenewsTheAttempts(t *testing.T) {
	kept := &store.Progress{PurgeID: "p", Attempts: 10, Fence: 4, LastError: "boom", Deleted: store.Counts{Users: 3}}
	tn := store.Tenant{ID: "a", Status: store.StatusFailed, Purge: kept}
	if err := store.Retry().Apply(&tn, nil, origin(t0)); err != nil {
		t.Fatal(err)
	}
	if tn.Status != store.StatusPurging || tn.Purge.Attempts != 0 || !tn.Purge.NextAttempt.Equal(t0) || tn.Purge.Fence != 4 || tn.Purge.Deleted.Users != 3 {
		t.Errorf("%s with %+v", tn.Status, tn.Purge)
	}
	// Apply may be called on a shared record and more than once.
	if kept.Attempts != 10 {
		t.Error("the record that was read was changed in place")
	}
	for _, other := range []store.Tenant{{ID: "a", Status: store.StatusActive}, disabled("a"), {ID: "a", Status: store.StatusPurging}} {
		if err := store.Retry().Apply(&other, nil, origin(t0)); store.CodeOf(err) != store.Precondition {
			t.Errorf("%s: %v; want a precondition error", other.Status, err)
		}
	}
}

func TestEdit_LeavesAloneWhatIsNil(t *testing.T) {
	name, host, subs := "New", "new.example", 2
	base := store.Tenant{ID: "a", Status: store.StatusActive, Name: "Old", Hostname: "old.example", ActiveSubscriptions: 1}
	for _, c := range []struct {
		change store.Change
		want   func(*store.Tenant)
	}{
		{store.Edit(nil, nil, nil), func(*store.Tenant) {}},
		{store.Edit(&name, nil, nil), func(t *store.Tenant) { t.Name = name }},
		{store.Edit(nil, &host, nil), func(t *store.Tenant) { t.Hostname = host }},
		{store.Edit(nil, nil, &subs), func(t *store.Tenant) { t.ActiveSubscriptions = subs }},
	} {
		got, want := base, base
		c.want(&want)
		if err := c.change.Apply(&got, nil, origin(t0)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	}
}

func TestSet_IsBothChangesOrNone_G8(t *testing.T) {
	name, bad := "New", store.Errorf(store.Invalid, "bad")
	edit := store.Edit(&name, nil, nil)
	refuses := store.Change{Apply: func(*store.Tenant, *store.Tenant, store.Origin) error { return bad }}
	above := disabled("root")
	active := store.Tenant{ID: "a", Status: store.StatusActive}
	for what, c := range map[string]struct {
		enabled bool
		edit    store.Change
		before  store.Tenant
		above   *store.Tenant
		status  store.Status // afterwards; "" for a refusal
		action  store.Action
		code    store.Code
	}{
		"disabled":                    {false, edit, active, nil, store.StatusDisabled, store.ActionDeactivate, ""},
		"disabled, its edit refused":  {false, refuses, active, nil, "", "", store.Invalid},
		"disabled already":            {false, edit, disabled("a"), nil, store.StatusDisabled, store.ActionEdit, ""},
		"disabled below one that is":  {false, edit, active, &above, store.StatusDisabled, store.ActionDeactivate, ""},
		"enabled":                     {true, edit, disabled("a"), nil, store.StatusActive, store.ActionReactivate, ""},
		"enabled already":             {true, edit, active, nil, store.StatusActive, store.ActionEdit, ""},
		"enabled below a disabled":    {true, edit, active, &above, "", "", store.Precondition},
		"disabled while it is purged": {false, edit, store.Tenant{ID: "a", Status: store.StatusPurging}, nil, "", "", store.Precondition},
		"disabled and protected":      {false, edit, store.Tenant{ID: "kept", Status: store.StatusActive}, nil, "", "", store.Precondition},
	} {
		change := store.Set(c.enabled, c.edit, store.Grace{}, func(id string) bool { return id == "kept" })
		after := c.before
		err := change.Apply(&after, c.above, origin(t0.Add(time.Hour)))
		if store.CodeOf(err) != c.code {
			t.Errorf("%s: error %v, want %q", what, err, c.code)
		}
		if c.code != "" {
			continue
		}
		if after.Status != c.status || after.Name != name || change.ActionOf(&c.before, &after) != c.action {
			t.Errorf("%s: %+v, called %s", what, after, change.ActionOf(&c.before, &after))
		}
		if c.action == store.ActionEdit && !after.EstimatedPurgeDate.Equal(c.before.EstimatedPurgeDate) {
			t.Errorf("%s: the date moved to %s", what, after.EstimatedPurgeDate)
		}
	}
	// Deactivating again is no edit, whatever of it is new.
	before, again := disabled("a"), disabled("a")
	if err := store.Deactivate(10, store.Grace{}, nil).Apply(&again, nil, origin(before.DisabledAt)); err != nil {
		t.Fatal(err)
	}
	if a := store.Deactivate(10, store.Grace{}, nil).ActionOf(&before, &again); a != store.ActionDeactivate {
		t.Errorf("deactivated again with another length: %s", a)
	}
}
