package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

func importerCases() []testCase {
	return []testCase{
		{"WritesRecordsAsTheyAre", importWrites},
		{"KeepsTheGateClosedFromBeginToEnd", importGate},
		{"AgainChangesNothing", func(e *env) {
			b := importBatch()
			e.importAll(b)
			e.changesNothing("the same batch again", func() {
				got := e.importedBatch(b)
				e.wantOutcomes(got.Tenants, store.OutcomeUnchanged)
				e.wantOutcomes(got.Resources, store.OutcomeUnchanged)
			})
		}},
		{"LeavesWhatConflicts", importConflicts},
		{"NeverResurrects", importNeverResurrects},
		{"RefusesAnUnsoundBatchWhole", importRefuses},
		{"ImportedTenantsLiveOn_G1", func(e *env) {
			e.importAll(importBatch())
			e.wantDue(due10.Add(-time.Millisecond))
			e.wantDue(due10, "acme")
			_, err := e.tryClaim("acme", due10)
			e.wantBlocked(err, "acme", store.BlockHold, "acme.held")
			e.update("acme.held", due10, store.Release())
			r := e.purge("acme", due10)
			e.equal([]string{"acme.deep", "acme.held", "acme"}, r.Tenants, "the subtree, in the order of the import")
			e.equal(store.Counts{Users: 2, APIKeys: 1, SubTenants: 2}, r.Deleted, "deleted")
		}},
		{"GoesOnAfterARestart", func(e *env) {
			imp := e.importer()
			b := importBatch()
			if err := imp.BeginImport(e.ctx(), store.Import{Digest: "d"}, by(t0)); err != nil {
				e.t.Fatalf("BeginImport: %v", err)
			}
			e.importedBatch(store.Batch{Tenants: b.Tenants[:2]})
			e.reopen()
			if e.gates().Import == nil {
				e.t.Fatal("the gate opened by itself")
			}
			e.importAll(store.Batch{Tenants: b.Tenants[2:], Resources: b.Resources})
			e.equal(store.Gates{}, e.gates(), "the gates")
			e.changesNothing("the whole again", func() { e.importedBatch(b) })
		}},
		{"ResourcesOfAClaimedTenantAreNotAdded_G6", func(e *env) {
			imp := e.importer()
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			b := store.Batch{Resources: []store.Resource{resource("acme", store.KindUser, "late")}}
			if got, err := imp.ImportBatch(e.ctx(), b, by(due10)); err == nil && len(got.Resources) == 1 && got.Resources[0] == store.OutcomeNew {
				e.t.Error("a resource was imported into a tenant that is being purged")
			}
			if r := e.finish(tok, due10); r.Deleted != (store.Counts{}) || r.Planned != (store.Counts{}) {
				e.t.Errorf("planned %+v, deleted %+v; want nothing", r.Planned, r.Deleted)
			}
		}},
		{"IsAudited_G8", func(e *env) {
			b := importBatch()
			e.importAll(store.Batch{Tenants: b.Tenants[:1]}, store.Batch{Tenants: b.Tenants[1:], Resources: b.Resources})
			var got []store.Action
			for _, x := range e.entries(0) {
				got = append(got, x.Action)
				if x.Actor != "alice" || !x.At.Equal(t0) {
					e.t.Errorf("entry %+v", x)
				}
			}
			e.equal([]store.Action{store.ActionImportOpen, store.ActionImport, store.ActionImport, store.ActionImportDone}, got, "actions")
		}},
	}
}

// importer returns the store's importer, or skips the case.
func (e *env) importer() store.Importer {
	e.t.Helper()
	imp, ok := e.s.(store.Importer)
	if !ok {
		e.t.Skip("the store cannot be filled from outside")
	}
	return imp
}

// importBatch is a tree that is due at due10 but for a hold, and an active
// tenant beside it.
func importBatch() store.Batch {
	disabled := store.Tenant{ID: "acme", Name: "Secretname of acme", Hostname: "secret.acme.example", Status: store.StatusDisabled,
		DisabledAt: t0, PurgeAfterDays: 10, EstimatedPurgeDate: due10, DisabledBy: alice}
	return store.Batch{
		Tenants: []store.Tenant{
			disabled,
			{ID: "acme.held", ParentID: "acme", Status: store.StatusActive, Hold: &store.Hold{Reason: "litigation", Actor: alice, Since: t0, Until: due10.Add(day)}},
			{ID: "acme.deep", ParentID: "acme.held", Status: store.StatusActive},
			{ID: "beta", Status: store.StatusActive, ActiveSubscriptions: 2},
		},
		Resources: []store.Resource{
			resource("acme", store.KindAPIKey, "k"), resource("acme.deep", store.KindUser, "u1"), resource("acme.held", store.KindUser, "u"), resource("beta", store.KindUser, "u"),
		},
	}
}

// importedBatch imports one batch without touching the gate.
func (e *env) importedBatch(b store.Batch) store.Imported {
	e.t.Helper()
	got, err := e.importer().ImportBatch(e.ctx(), b, by(t0))
	if err != nil {
		e.t.Fatalf("ImportBatch: %v", err)
	}
	if len(got.Tenants) != len(b.Tenants) || len(got.Resources) != len(b.Resources) {
		e.t.Fatalf("%d and %d outcomes for %d tenants and %d resources", len(got.Tenants), len(got.Resources), len(b.Tenants), len(b.Resources))
	}
	return got
}

// importAll runs one import of the batches, all of whose records are new.
func (e *env) importAll(batches ...store.Batch) {
	e.t.Helper()
	if err := e.importer().BeginImport(e.ctx(), store.Import{Digest: "d", Since: store.Timestamp{Time: t0}}, by(t0)); err != nil {
		e.t.Fatalf("BeginImport: %v", err)
	}
	for _, b := range batches {
		got := e.importedBatch(b)
		e.wantOutcomes(got.Tenants, store.OutcomeNew)
		e.wantOutcomes(got.Resources, store.OutcomeNew)
	}
	if err := e.importer().EndImport(e.ctx(), by(t0)); err != nil {
		e.t.Fatalf("EndImport: %v", err)
	}
}

// wantOutcomes fails the case unless all outcomes are want.
func (e *env) wantOutcomes(got []store.Outcome, want store.Outcome) {
	e.t.Helper()
	for i, o := range got {
		if o != want {
			e.t.Errorf("record %d has the outcome %d; want %d", i, o, want)
		}
	}
}
