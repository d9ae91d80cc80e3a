package purge

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Source is a system that says which tenants exist and which of them are
// disabled. What it says is taken over by a [Syncer], and an [Engine] that has a
// source asks it once more before it claims a tenant. It is safe for concurrent
// use.
//
// Absence is never consent: a source returns an error, not an end or a NotFound,
// when it did not get an answer that it understands.
type Source interface {
	// Name identifies the source in records, log lines and metrics. It is
	// constant and matches the alphabet of [store.CheckID].
	Name() string
	// Tenants calls yield for every tenant there is, in any order, and returns
	// nil only when that was all of them, as they were at one instant if the
	// system can tell. A row that cannot be understood is yielded with its Err.
	// An error of yield ends it and is returned.
	Tenants(ctx context.Context, yield func(SourceRow) error) error
	// Tenant returns one tenant as it is now. Errors: NotFound when the system
	// answered that there is no such tenant; any other code for no answer, or
	// one that cannot be understood.
	Tenant(ctx context.Context, id string) (SourceTenant, error)
}

// BatchSource is a [Source] that can look up many tenants in one call.
type BatchSource interface {
	Source
	// TenantsByID returns the rows of up to [store.MaxPage] tenants by their ids.
	// One that is missing does not exist.
	TenantsByID(ctx context.Context, ids []string) (map[string]SourceRow, error)
}

// ChildSource is a [Source] that can say who is below a tenant. An [Engine] asks
// it right before a claim, together with the question about the tenants that it
// keeps: a sub-tenant that is new there since the last sync keeps the tenants above
// it from being purged until a sync has taken it over.
type ChildSource interface {
	Source
	// TellsChildren reports whether the source is set up to know. Where it is not,
	// nobody asks. It is constant.
	TellsChildren() bool
	// Children calls yield for every tenant that is right below one of up to
	// [store.MaxPage] tenants, in any order, and returns nil only when that was all
	// of them. A tenant that does not exist has none. Rows are yielded one by one,
	// since there may be any number of them, and a row may come more than once. Of
	// a row only the ID and the ParentID count, which are empty when they cannot be
	// read. An error of yield ends it and is returned.
	//
	// A source that is no [BatchSource] is asked about one parent at a time, and
	// about several side by side.
	Children(ctx context.Context, parents []string, yield func(SourceRow) error) error
}

// Watcher is a [Source] that tells by itself when something has changed.
type Watcher interface {
	// Watch calls changed, which returns at once, whenever a snapshot may differ
	// from the one before: once it watches, and again after any time in which it
	// may have missed something. It reconnects by itself and returns only when
	// ctx ends, or with an error that no waiting would cure.
	Watch(ctx context.Context, changed func()) error
}

// SourceRow is one row of a snapshot.
type SourceRow struct {
	Tenant SourceTenant
	// Err says why the row cannot be understood. Of Tenant only the ID and the
	// ParentID count then, which are empty when they cannot be read; the tenant
	// with the latter is not purged meanwhile. It holds no secrets and no data of
	// users.
	Err error
}

// SourceTenant is a tenant as a source knows it.
type SourceTenant struct {
	ID       string
	ParentID string // "" for a root
	// Name and Hostname are nil where the source says nothing of them.
	Name, Hostname *string
	Status         store.Status // active or disabled
	// DisabledAt is required of a disabled tenant. Its purge date is so many days
	// later; or PurgeAt, put off to whole days after DisabledAt; or, with
	// neither, the default grace period later.
	DisabledAt     time.Time
	PurgeAfterDays int
	PurgeAt        time.Time
}

// adoption checks a tenant of a source and returns what it says. The id and the
// parent's are checked too. Errors: Invalid, which names the field.
func (t *SourceTenant) adoption(grace store.Grace) (store.Adoption, error) {
	a := store.Adoption{Name: t.Name, Hostname: t.Hostname}
	if err := store.CheckID("id", t.ID); err != nil {
		return a, err
	}
	if t.ParentID != "" {
		if err := store.CheckID("parentId", t.ParentID); err != nil {
			return a, err
		}
		if t.ParentID == t.ID {
			return a, store.Errorf(store.Invalid, "parentId: a tenant cannot be its own parent").At("parentId")
		}
	}
	switch t.Status {
	case store.StatusActive:
	case store.StatusDisabled:
		days, err := t.days(grace)
		if err != nil {
			return a, err
		}
		a.Disabled, a.DisabledAt, a.PurgeAfterDays = true, store.Trim(t.DisabledAt), days
	default:
		return a, store.Errorf(store.Invalid, "status %s: want active or disabled", store.Quote(string(t.Status))).At("status")
	}
	// The store would refuse what is wrong in the record as a whole.
	v := store.Tenant{ID: t.ID, Status: t.Status, DisabledAt: a.DisabledAt, PurgeAfterDays: a.PurgeAfterDays, EstimatedPurgeDate: a.Date()}
	if t.Name != nil {
		v.Name = *t.Name
	}
	if t.Hostname != nil {
		v.Hostname = *t.Hostname
	}
	return a, v.Validate()
}

// days returns the grace period of a disabled tenant. A date is rounded up, since
// a purge may be late, and never early.
func (t *SourceTenant) days(grace store.Grace) (int, error) {
	const day = 24 * time.Hour
	switch {
	case t.DisabledAt.IsZero():
		return 0, store.Errorf(store.Invalid, "disabledAt: want an instant, since the tenant is disabled").At("disabledAt")
	case t.PurgeAfterDays != 0 && !t.PurgeAt.IsZero():
		return 0, store.Errorf(store.Invalid, "purgeAt: want either a date or a number of days").At("purgeAt")
	case t.PurgeAt.IsZero():
		if t.PurgeAfterDays < 0 {
			return 0, store.Errorf(store.Invalid, "purgeAfterDays %d: want a positive number", t.PurgeAfterDays).At("purgeAfterDays")
		}
		return grace.Check(t.PurgeAfterDays)
	}
	left := t.PurgeAt.Sub(store.Trim(t.DisabledAt))
	if left <= 0 {
		return 0, store.Errorf(store.Invalid, "purgeAt %s: want a time after disabledAt, %s",
			store.FormatTime(t.PurgeAt), store.FormatTime(t.DisabledAt)).At("purgeAt")
	}
	days := int(left / day)
	if left%day != 0 {
		days++
	}
	if _, err := grace.Check(days); err != nil {
		return 0, store.Errorf(store.Invalid, "purgeAt %s: %w", store.FormatTime(t.PurgeAt), err).At("purgeAt")
	}
	return days, nil
}

// says reports whether a kept tenant is what an adoption at an instant would make
// of it.
func says(a *store.Adoption, kept *store.Tenant, at time.Time) bool {
	would := *kept
	err := store.Adopt(*a).Apply(&would, nil, store.Origin{At: at})
	return err == nil && would == *kept
}

// sameGrace is says for the status and the date.
func sameGrace(a *store.Adoption, kept *store.Tenant) bool {
	if !a.Disabled || a.Overruled(kept) {
		return kept.Status == store.StatusActive
	}
	return kept.Status == store.StatusDisabled && kept.DisabledAt.Equal(a.DisabledAt) &&
		kept.PurgeAfterDays == a.PurgeAfterDays && kept.EstimatedPurgeDate.Equal(a.Date())
}

// sourceActor is who makes the changes that a source asks for.
func sourceActor(s Source) store.Actor { return store.Actor{ID: store.SourceActorPrefix + s.Name()} }

// checkSource returns an Invalid error for a source whose name cannot be used.
func checkSource(s Source) error {
	if err := store.CheckID("source", s.Name()); err != nil {
		return fmt.Errorf("name of the source: %w", err)
	}
	return nil
}
