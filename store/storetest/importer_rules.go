package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func importWrites(e *env) {
	b := importBatch()
	e.importAll(b)
	for range 2 {
		for _, want := range b.Tenants {
			got := e.tenant(want.ID)
			if got.Version < 1 || got.CreatedAt.IsZero() {
				e.t.Errorf("%q has version %d, created %v", got.ID, got.Version, got.CreatedAt)
			}
			if !store.SameImport(&got, &want) {
				e.t.Errorf("imported %+v; kept %+v", want, got)
			}
		}
		if got := e.tenant("acme").DisabledBy; got.ID != "alice" {
			e.t.Errorf("disabledBy %+v; want alice", got)
		}
		e.equal(importBatch().Tenants[1].Hold, e.tenant("acme.held").Hold, "the hold")
		e.wantHeld("acme", store.Counts{APIKeys: 1})
		e.wantHeld("acme.deep", store.Counts{Users: 1})
		if diff, err := statsDiff(e.ctx(), e.s, due10); err != nil || diff != "" {
			e.t.Errorf("stats against a recount: %v\n%s", err, diff)
		}
		e.reopen()
	}
	// A file that says nothing of creation means now; one that does is kept.
	old := store.Tenant{ID: "old", Status: store.StatusActive, CreatedAt: t0.AddDate(-3, 0, 0)}
	e.importedBatch(store.Batch{Tenants: []store.Tenant{old}})
	if got := e.tenant("old").CreatedAt; !got.Equal(old.CreatedAt) {
		e.t.Errorf("createdAt %v; want %v", got, old.CreatedAt)
	}
}

func importGate(e *env) {
	imp := e.importer()
	e.disabled("due", "")
	want := &store.Import{Digest: "abc", Since: store.Timestamp{Time: t0}}
	for _, digest := range []string{"other", "abc"} { // beginning again continues
		if err := imp.BeginImport(e.ctx(), store.Import{Digest: digest, Since: store.Timestamp{Time: t0}}, by(t0)); err != nil {
			e.t.Fatalf("BeginImport: %v", err)
		}
		_, err := e.tryClaim("due", due10)
		e.wantGate(err, store.GateImport, "a claim during an import")
	}
	if got := e.gates().Import; got == nil || got.Digest != want.Digest || got.Since.IsZero() {
		e.t.Errorf("the import on record is %+v; want %+v", got, want)
	}
	e.importedBatch(importBatch())
	_, err := e.tryClaim("due", due10, inline)
	e.wantGate(err, store.GateImport, "a claim after a batch")
	e.reopen()
	_, err = e.tryClaim("due", due10)
	e.wantGate(err, store.GateImport, "a claim after a restart")
	if err := e.importer().EndImport(e.ctx(), by(t0)); err != nil {
		e.t.Fatalf("EndImport: %v", err)
	}
	e.claim("due", due10)
}

func importConflicts(e *env) {
	b := importBatch()
	e.importAll(b)
	e.update("beta", t0, store.SetHold("new", time.Time{}))
	b.Tenants[0].Name = "Another"
	b.Tenants[2].ParentID = "beta" // a parent never changes
	b.Resources[0].Data = json.RawMessage(`{"other":true}`)
	b.Resources = append(b.Resources, resource("acme", store.KindUser, "added"))
	before := e.snapshot()
	got := e.importedBatch(b)
	e.equal([]store.Outcome{store.OutcomeConflict, store.OutcomeUnchanged, store.OutcomeConflict, store.OutcomeConflict}, got.Tenants, "outcomes of tenants")
	e.equal([]store.Outcome{store.OutcomeConflict, store.OutcomeUnchanged, store.OutcomeUnchanged, store.OutcomeUnchanged, store.OutcomeNew}, got.Resources, "outcomes of resources")
	after := e.snapshot()
	e.equal(before.Tenants, after.Tenants, "the tenants")
	e.equal(before.Resources["acme"][0], after.Resources["acme"][0], "the resource that conflicts")
	e.wantHeld("acme", store.Counts{APIKeys: 1, Users: 1})
}

func importNeverResurrects(e *env) {
	b := importBatch()
	b.Tenants[1].Hold = nil
	e.importAll(b)
	e.purge("acme", due10)
	for range 2 {
		e.changesNothing("an import of what was purged", func() {
			got := e.importedBatch(b)
			e.equal([]store.Outcome{store.OutcomePurged, store.OutcomePurged, store.OutcomePurged, store.OutcomeUnchanged}, got.Tenants, "outcomes of tenants")
			e.equal([]store.Outcome{store.OutcomePurged, store.OutcomePurged, store.OutcomePurged, store.OutcomeUnchanged}, got.Resources, "outcomes of resources")
		})
		e.reopen()
	}
	// Nothing grows below a tombstone either, whatever the store calls it.
	late := store.Batch{Tenants: []store.Tenant{{ID: "late", ParentID: "acme", Status: store.StatusActive}}}
	got, err := e.importer().ImportBatch(e.ctx(), late, by(due10))
	if err == nil && got.Tenants[0] == store.OutcomeNew {
		e.t.Error("a tenant was imported below a purged one")
	}
	_, err = e.s.Tenant(e.ctx(), "late")
	e.wantCode(err, store.NotFound, "Tenant of what may not be imported")
	e.wantGone("acme", "acme.held", "acme.deep")
}

func importRefuses(e *env) {
	imp := e.importer()
	e.create("kept", "")
	good := store.Tenant{ID: "good", Status: store.StatusActive}
	old := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	e.changesNothing("a refused batch", func() {
		for what, bad := range map[string]store.Batch{
			"an unknown parent":      {Tenants: []store.Tenant{{ID: "a", ParentID: "nobody", Status: store.StatusActive}}},
			"a child before parent":  {Tenants: []store.Tenant{{ID: "a", ParentID: "b", Status: store.StatusActive}, {ID: "b", Status: store.StatusActive}}},
			"a purging tenant":       {Tenants: []store.Tenant{{ID: "a", Status: store.StatusPurging}}},
			"a failed tenant":        {Tenants: []store.Tenant{{ID: "a", Status: store.StatusFailed}}},
			"a deleted tenant":       {Tenants: []store.Tenant{{ID: "a", Status: store.StatusDeleted}}},
			"no status":              {Tenants: []store.Tenant{{ID: "a"}}},
			"a bad id":               {Tenants: []store.Tenant{{ID: "a/b", Status: store.StatusActive}}},
			"no date (G1)":           {Tenants: []store.Tenant{{ID: "a", Status: store.StatusDisabled}}},
			"a date out of range":    {Tenants: []store.Tenant{{ID: "a", Status: store.StatusDisabled, DisabledAt: old, PurgeAfterDays: 10, EstimatedPurgeDate: old.Add(10 * day)}}},
			"a date that disagrees":  {Tenants: []store.Tenant{{ID: "a", Status: store.StatusDisabled, DisabledAt: t0, PurgeAfterDays: 10, EstimatedPurgeDate: t0}}},
			"a bad kind":             {Resources: []store.Resource{resource("kept", "users", "u")}},
			"a bad resource id":      {Resources: []store.Resource{resource("kept", store.KindUser, "")}},
			"broken data":            {Resources: []store.Resource{{TenantID: "kept", Kind: store.KindUser, ID: "u", Data: json.RawMessage("{")}}},
			"an unknown tenant's":    {Resources: []store.Resource{resource("nobody", store.KindUser, "u")}},
			"negative subscriptions": {Tenants: []store.Tenant{{ID: "a", Status: store.StatusActive, ActiveSubscriptions: -1}}},
		} {
			b := store.Batch{Tenants: append([]store.Tenant{good}, bad.Tenants...), Resources: append([]store.Resource{resource("kept", store.KindUser, "ok")}, bad.Resources...)}
			_, err := imp.ImportBatch(e.ctx(), b, by(t0))
			e.wantCode(err, store.Invalid, fmt.Sprintf("a batch with %s", what))
		}
	})
}
