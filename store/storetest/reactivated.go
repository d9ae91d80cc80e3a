package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

// reactivatedCases are about what a person's reactivation is against a source.
func reactivatedCases() []testCase {
	return []testCase{
		{"StandsUntilTheSourceDisablesAnew_G2", reactivatedStands},
		{"StandsOverTheNamesThatTheSourceGives", reactivatedNamed},
		{"EndsWithTheSourceThatSaysTheSame_G2", reactivatedAgreed},
		{"EndsWithADeactivationByAPerson", reactivatedDeactivated},
		{"IsNotUndoneBehindADeactivationByAPerson_G1", reactivatedPromised},
		{"StandsAgainstAClockThatIsAhead_G2", reactivatedAhead},
		{"IsOfOneTenantAlone", reactivatedAlone},
		{"StandsBehindADeactivationThatIsTakenBack_G2", reactivatedUndone},
		{"IsImported_G2", reactivatedImported},
	}
}

// reactivatedAt is when the tenants of these cases are reactivated.
var reactivatedAt = t0.Add(5 * day)

// off is a source that disabled a tenant then, for 30 days.
func off(at time.Time) store.Adoption {
	return store.Adoption{Disabled: true, DisabledAt: at, PurgeAfterDays: 30}
}

// reactivated creates a tenant that a source disabled at an instant, and a person
// reactivated.
func (e *env) reactivated(id string, disabledAt time.Time) store.Tenant {
	e.t.Helper()
	e.create(id, "")
	e.adopt(id, off(disabledAt))
	return e.update(id, reactivatedAt, store.Reactivate())
}

// wantStanding fails the case unless the tenant is active and its reactivation
// stands since then.
func (e *env) wantStanding(id string, since time.Time) {
	e.t.Helper()
	if got := e.tenant(id); got.Status != store.StatusActive || !got.ReactivatedAt.Equal(since) {
		e.t.Errorf("%s is %s, reactivated at %s; want it active since %s", id, got.Status, store.FormatTime(got.ReactivatedAt), store.FormatTime(since))
	}
}

// wantDisabled fails the case unless the tenant is disabled since then, for 30
// days, and nothing stands against a source.
func (e *env) wantDisabled(id string, since time.Time) {
	e.t.Helper()
	got := e.tenant(id)
	if got.Status != store.StatusDisabled || !got.DisabledAt.Equal(since) || !got.EstimatedPurgeDate.Equal(since.Add(30*day)) || !got.ReactivatedAt.IsZero() {
		e.t.Errorf("%+v; want it disabled at %s, for 30 days", got, store.FormatTime(since))
	}
}

func reactivatedPromised(e *env) {
	e.reactivated("acme", t0)
	at := reactivatedAt.Add(day)
	promised := e.update("acme", at, store.Deactivate(30, store.Grace{}, nil))
	e.changesNothing("what the source said before", func() {
		e.adopt("acme", off(t0))
		e.adopt("acme", store.Adoption{Disabled: true, DisabledAt: at.Add(-time.Millisecond), PurgeAfterDays: 30})
	})
	if got := e.tenant("acme"); !got.EstimatedPurgeDate.Equal(promised.EstimatedPurgeDate) {
		e.t.Errorf("it is to be purged at %s; %s was promised", store.FormatTime(got.EstimatedPurgeDate), store.FormatTime(promised.EstimatedPurgeDate))
	}
	later := store.Adoption{Disabled: true, DisabledAt: t0, PurgeAfterDays: 90}
	if got := e.adopt("acme", later); !got.EstimatedPurgeDate.Equal(later.Date()) {
		e.t.Errorf("%+v; want the later date of the source", got)
	}
	e.wantAdopted("globex")
}

// wantAdopted fails the case unless a tenant that a source disabled gets an earlier
// date when the source says so.
func (e *env) wantAdopted(id string) {
	e.t.Helper()
	e.create(id, "")
	e.adopt(id, off(t0.Add(day)))
	if got := e.adopt(id, off(t0)); !got.DisabledAt.Equal(t0) {
		e.t.Errorf("%+v; want it disabled when the source says now", got)
	}
}

func reactivatedStands(e *env) {
	e.reactivated("acme", t0)
	for range 2 {
		e.changesNothing("what the source said before", func() {
			earlier := off(t0)
			earlier.PurgeAfterDays = 3
			milder := off(reactivatedAt)
			milder.Milder = true
			for _, a := range []store.Adoption{off(t0), off(t0.Add(-400 * day)), earlier, off(reactivatedAt), milder} {
				e.update("acme", farFuture, store.Adopt(a))
			}
		})
		e.wantDue(farFuture)
		e.reopen()
		e.wantStanding("acme", reactivatedAt)
	}
	anew := reactivatedAt.Add(time.Millisecond)
	head := e.head()
	e.update("acme", anew, store.Adopt(off(anew)))
	e.wantDisabled("acme", anew)
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionDeactivate {
		e.t.Errorf("entries %+v; want one deactivation", es)
	}
}

func reactivatedNamed(e *env) {
	e.reactivated("acme", t0)
	name, host := "Another", "another.example"
	a := off(t0)
	a.Name, a.Hostname = &name, &host
	head := e.head()
	e.update("acme", farFuture, store.Adopt(a))
	e.wantStanding("acme", reactivatedAt)
	if got := e.tenant("acme"); got.Name != name || got.Hostname != host {
		e.t.Errorf("it is %q at %q; want the other names", got.Name, got.Hostname)
	}
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionEdit {
		e.t.Errorf("entries %+v; want one edit", es)
	}
}

func reactivatedAgreed(e *env) {
	e.reactivated("acme", t0)
	e.changesNothing("an answer that may be older than the reactivation, or is about a purge alone", func() {
		e.update("acme", reactivatedAt.Add(-time.Hour), store.Adopt(store.Adoption{}))
		e.update("acme", reactivatedAt, store.Adopt(store.Adoption{}))
		e.update("acme", farFuture, store.Adopt(store.Adoption{Milder: true}))
	})
	head := e.head()
	e.update("acme", reactivatedAt.Add(time.Millisecond), store.Adopt(store.Adoption{}))
	e.wantStanding("acme", time.Time{})
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionEdit {
		e.t.Errorf("entries %+v; want one edit", es)
	}
	e.changesNothing("the same again", func() { e.update("acme", farFuture, store.Adopt(store.Adoption{})) })
	e.update("acme", farFuture, store.Adopt(off(t0))) // it is disabled anew, with whatever date
	e.wantDisabled("acme", t0)
}

func reactivatedDeactivated(e *env) {
	e.reactivated("acme", t0)
	if got := e.deactivate("acme", reactivatedAt.Add(day), 10); !got.ReactivatedAt.IsZero() {
		e.t.Errorf("deactivated, it is reactivated at %s", got.ReactivatedAt)
	}
	e.update("acme", farFuture, store.Adopt(off(t0)))
	e.wantDisabled("acme", t0)
}

func reactivatedAhead(e *env) {
	ahead := reactivatedAt.Add(2 * day)
	if got := e.reactivated("acme", ahead); !got.ReactivatedAt.Equal(ahead) {
		e.t.Errorf("reactivated at %s; want it behind what it cancelled", got.ReactivatedAt)
	}
	e.changesNothing("what was cancelled", func() { e.update("acme", farFuture, store.Adopt(off(ahead))) })
	e.update("acme", reactivatedAt.Add(time.Hour), store.Adopt(store.Adoption{})) // by the clock that reads the answers it is the newer one
	e.wantStanding("acme", time.Time{})
	e.reactivated("globex", ahead)
	anew := ahead.Add(time.Millisecond)
	e.update("globex", farFuture, store.Adopt(off(anew)))
	e.wantDisabled("globex", anew)
}

func reactivatedAlone(e *env) {
	e.createAll("acme", "acme.a<acme", "acme.b<acme")
	for _, id := range []string{"acme", "acme.a"} {
		e.adopt(id, off(t0))
	}
	e.update("acme", reactivatedAt, store.Reactivate())
	e.changesNothing("what the source said before", func() {
		e.update("acme", farFuture, store.Adopt(off(t0)))
		e.update("acme.a", farFuture, store.Adopt(off(t0)))
		e.update("acme.b", farFuture, store.Adopt(store.Adoption{}))
	})
	e.wantStanding("acme", reactivatedAt)
	e.wantDisabled("acme.a", t0)
	e.update("acme.b", farFuture, store.Adopt(off(t0))) // nobody reactivated that one
	e.wantDisabled("acme.b", t0)
}

func reactivatedUndone(e *env) {
	before := e.reactivated("acme", t0)
	off1 := e.deactivate("acme", reactivatedAt.Add(day), 10)
	after, err := e.s.Update(e.ctx(), "acme", store.Update{Origin: by(off1.UpdatedAt), Version: off1.Version, Change: store.UndoDeactivate(before.ReactivatedAt)})
	e.must(err, "UndoDeactivate")
	before.Version, before.UpdatedAt = after.Version, after.UpdatedAt
	e.equal(before, after, "the tenant whose deactivation is taken back")
	e.changesNothing("what the source said before", func() { e.update("acme", farFuture, store.Adopt(off(t0))) })
}

func reactivatedImported(e *env) {
	imp, ok := e.s.(store.Importer)
	if !ok {
		e.t.Skip("the store cannot be filled from outside")
	}
	_, err := imp.ImportBatch(e.ctx(), store.Batch{Tenants: []store.Tenant{
		{ID: "acme", Status: store.StatusActive, ReactivatedAt: reactivatedAt.Add(time.Microsecond)},
	}}, by(t0))
	e.must(err, "ImportBatch")
	e.reopen()
	e.changesNothing("what the source said before", func() { e.update("acme", farFuture, store.Adopt(off(reactivatedAt))) })
	e.wantStanding("acme", reactivatedAt)
	_, err = imp.ImportBatch(e.ctx(), store.Batch{Tenants: []store.Tenant{{
		ID: "off", Status: store.StatusDisabled, DisabledAt: t0, PurgeAfterDays: 30, EstimatedPurgeDate: t0.Add(30 * day), ReactivatedAt: reactivatedAt,
	}}}, by(t0))
	e.wantField(err, store.Invalid, "reactivatedAt", "disabled, and reactivated")
}
