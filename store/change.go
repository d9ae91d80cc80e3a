package store

import "time"

// Origin says who makes a change and when. It goes into the audit entry.
type Origin struct {
	Actor Actor
	At    time.Time
}

// Update is a change of one tenant.
type Update struct {
	Origin
	// Version, when not 0, must be the record's; else the error is [Conflict].
	Version int64
	Change  Change
}

// Change is a rule by which a tenant changes. The functions of this package
// make the rules that there are.
type Change struct {
	Action Action
	// Apply edits t, or returns why that may not be. above is the nearest
	// ancestor that is not active, nil when there is none. Apply may be called
	// more than once and has no other effect. Leaving t as it is means that
	// nothing changes: no new version, no audit entry, no error.
	Apply func(t *Tenant, above *Tenant, o Origin) error
}

// ActionOf returns what the audit trail calls this change of before to after: an
// edit where a change that could have begun or ended the grace period did not.
func (c Change) ActionOf(before, after *Tenant) Action {
	if (c.Action == ActionDeactivate || c.Action == ActionReactivate) && before.Status == after.Status &&
		before.DisabledAt.Equal(after.DisabledAt) && before.PurgeAfterDays == after.PurgeAfterDays && before.DisabledBy == after.DisabledBy {
		return ActionEdit
	}
	return c.Action
}

// Deactivate begins the grace period, or begins it anew. days is 0 for the
// default of grace. protected may be nil.
func Deactivate(days int, grace Grace, protected func(id string) bool) Change {
	return Change{Action: ActionDeactivate, Apply: func(t *Tenant, _ *Tenant, o Origin) error {
		n, err := grace.Check(days)
		if err != nil {
			return err
		}
		if protected != nil && protected(t.ID) {
			return Errorf(Precondition, "tenant %q is protected by the configuration (tenants.protected)", t.ID)
		}
		if err := t.refuseIrrevocable("deactivated"); err != nil {
			return err
		}
		t.Status = StatusDisabled
		t.DisabledAt = Trim(o.At)
		t.PurgeAfterDays = n
		t.EstimatedPurgeDate = PurgeDate(t.DisabledAt, n)
		t.DisabledBy = o.Actor
		t.ReactivatedAt = time.Time{}
		t.Block = nil
		return nil
	}}
}

// Reactivate cancels the grace period of this tenant alone: sub-tenants that are
// disabled by themselves stay so. For an active tenant it changes nothing; below a
// tenant that is not active it is refused.
//
// It stands against a source until that says something newer; see
// [Adoption.Overruled].
func Reactivate() Change {
	return Change{Action: ActionReactivate, Apply: func(t *Tenant, above *Tenant, o Origin) error {
		if err := t.refuseIrrevocable("reactivated"); err != nil {
			return err
		}
		if above != nil {
			return Errorf(Precondition, "tenant %q cannot be reactivated below %q, which is %s", t.ID, above.ID, above.Status)
		}
		if t.Status == StatusActive {
			return nil
		}
		// What is cancelled may have been said by a clock that is ahead of this one.
		t.ReactivatedAt = Trim(o.At)
		if t.DisabledAt.After(t.ReactivatedAt) {
			t.ReactivatedAt = t.DisabledAt
		}
		t.enable()
		return nil
	}}
}

// enable makes the tenant active.
func (t *Tenant) enable() {
	t.Status = StatusActive
	t.DisabledAt, t.PurgeAfterDays, t.EstimatedPurgeDate = time.Time{}, 0, time.Time{}
	t.DisabledBy = Actor{}
	t.Block = nil
}

// UndoDeactivate takes back a deactivation that was a step of something else
// which was then refused. Unlike [Reactivate] it does not look at the ancestors:
// the tenant becomes what it was, with the ReactivatedAt that it had. Use it with
// Update.Version.
func UndoDeactivate(reactivatedAt time.Time) Change {
	return Change{Action: ActionReactivate, Apply: func(t *Tenant, _ *Tenant, _ Origin) error {
		if err := t.refuseIrrevocable("reactivated"); err != nil {
			return err
		}
		if t.Status == StatusDisabled {
			t.enable()
			t.ReactivatedAt = reactivatedAt
		}
		return nil
	}}
}

// SetHold puts the tenant on hold, replacing a hold that it has. until is zero
// for a hold without an end.
func SetHold(reason string, until time.Time) Change {
	return Change{Action: ActionHold, Apply: func(t *Tenant, _ *Tenant, o Origin) error {
		if err := t.refuseIrrevocable("put on hold"); err != nil {
			return err
		}
		until := Trim(until)
		if !until.IsZero() && !o.At.Before(until) {
			return Errorf(Invalid, "hold.until %s: want a time in the future", FormatTime(until)).At("until")
		}
		t.Hold = &Hold{Reason: reason, Actor: o.Actor, Since: Trim(o.At), Until: until}
		return nil
	}}
}

// Release ends the hold. Without one it changes nothing.
func Release() Change {
	return Change{Action: ActionRelease, Apply: func(t *Tenant, _ *Tenant, _ Origin) error {
		if err := t.refuseIrrevocable("released"); err != nil {
			return err
		}
		t.Hold = nil
		return nil
	}}
}

// Retry gives a failed purge its attempts anew; the next pass resumes it. For a
// purge that is waiting for its next attempt it ends the wait.
func Retry() Change {
	return Change{Action: ActionRetry, Apply: func(t *Tenant, _ *Tenant, o Origin) error {
		if t.Purge == nil || t.Status != StatusFailed && t.Status != StatusPurging {
			return Errorf(Precondition, "tenant %q is %s: only a failed purge can be retried", t.ID, t.Status)
		}
		p := *t.Purge
		t.Status = StatusPurging
		p.Attempts = 0
		p.NextAttempt = Timestamp{Trim(o.At)}
		t.Purge = &p
		return nil
	}}
}

// Edit changes what a caller may set at any time before the purge: name, host
// name and active subscriptions. A nil argument leaves the field alone.
func Edit(name, hostname *string, activeSubscriptions *int) Change {
	return Change{Action: ActionEdit, Apply: func(t *Tenant, _ *Tenant, _ Origin) error {
		if err := t.refuseIrrevocable("changed"); err != nil {
			return err
		}
		if name != nil {
			t.Name = *name
		}
		if hostname != nil {
			t.Hostname = *hostname
		}
		if activeSubscriptions != nil {
			t.ActiveSubscriptions = *activeSubscriptions
		}
		return nil
	}}
}

// Set makes the tenant enabled or not and applies edit, one change of both. It is
// about what the tenant becomes: the grace period of one that is disabled already
// goes on. The errors are those of [Deactivate], with the default grace period,
// [Reactivate] and edit.
func Set(enabled bool, edit Change, grace Grace, protected func(id string) bool) Change {
	c := Deactivate(0, grace, protected)
	if enabled {
		c = Reactivate()
	}
	status := c.Apply
	c.Apply = func(t *Tenant, above *Tenant, o Origin) error {
		if enabled || t.Status != StatusDisabled {
			if err := status(t, above, o); err != nil {
				return err
			}
		}
		return edit.Apply(t, above, o)
	}
	return c
}

// refuseIrrevocable returns a [Precondition] error once the tenant is claimed.
func (t *Tenant) refuseIrrevocable(verb string) error {
	if !t.Status.Irrevocable() {
		return nil
	}
	return Errorf(Precondition, "tenant %q is %s and can no longer be %s", t.ID, t.Status, verb)
}
