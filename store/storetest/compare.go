package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func compareCases() []testCase {
	return []testCase{
		{"TellsEveryOutcomeAndChangesNothing", func(e *env) {
			imp := e.importer()
			e.importAll(importBatch())
			e.disabled("purged", "")
			e.purge("purged", due10)
			b := importBatch()
			b.Tenants[0].Name = "Another"
			b.Tenants = append(b.Tenants,
				store.Tenant{ID: "new", Status: store.StatusActive}, store.Tenant{ID: "new.child", ParentID: "new", Status: store.StatusActive},
				store.Tenant{ID: "purged", Status: store.StatusActive}, store.Tenant{ID: "lost", ParentID: "nobody", Status: store.StatusActive})
			b.Resources[1].Data = json.RawMessage(`{"other":1}`)
			b.Resources = append(b.Resources, resource("new.child", store.KindUser, "u"), resource("purged", store.KindUser, "u"),
				resource("nobody", store.KindUser, "u"), resource("beta", store.KindUser, "new"))
			e.changesNothing("Compare", func() {
				got, err := imp.Compare(e.ctx(), b)
				if err != nil {
					e.t.Fatalf("Compare: %v", err)
				}
				const (
					same     = store.OutcomeUnchanged
					conflict = store.OutcomeConflict
				)
				e.equal([]store.Outcome{conflict, same, same, same, store.OutcomeNew, store.OutcomeNew, store.OutcomePurged, store.OutcomeUnknown}, got.Tenants, "outcomes of tenants")
				e.equal([]store.Outcome{same, conflict, same, same, store.OutcomeNew, store.OutcomePurged, store.OutcomeUnknown, store.OutcomeNew}, got.Resources, "outcomes of resources")
			})
		}},
		{"AgreesWithImportBatch", compareAgrees},
		{"IgnoresWhatAFileNeedNotSay", func(e *env) {
			e.importAll(importBatch())
			b := importBatch()
			for i := range b.Tenants {
				b.Tenants[i].DisabledBy, b.Tenants[i].Version, b.Tenants[i].CreatedAt = store.Actor{}, 77, t0.Add(-day)
				if h := b.Tenants[i].Hold; h != nil {
					h.Actor, h.Since = store.Actor{}, time.Time{}
				}
			}
			for i := range b.Resources {
				b.Resources[i].Data = append([]byte(" \n"), b.Resources[i].Data...)
			}
			got, err := e.importer().Compare(e.ctx(), b)
			if err != nil {
				e.t.Fatalf("Compare: %v", err)
			}
			e.wantOutcomes(got.Tenants, store.OutcomeUnchanged)
			e.wantOutcomes(got.Resources, store.OutcomeUnchanged)
		}},
		{"OfTimesFinerThanAMillisecond", func(e *env) {
			imp := e.importer()
			b := importBatch()
			fine := 123 * time.Microsecond
			b.Tenants[0].DisabledAt, b.Tenants[0].EstimatedPurgeDate = t0.Add(fine), due10.Add(fine)
			b.Tenants[1].Hold.Until = b.Tenants[1].Hold.Until.Add(fine)
			e.importAll(b)
			if got := e.tenant("acme"); !got.DisabledAt.Equal(t0) || !got.EstimatedPurgeDate.Equal(due10) {
				e.t.Errorf("imported %v, %v; want them cut to milliseconds", got.DisabledAt, got.EstimatedPurgeDate)
			}
			got, err := imp.Compare(e.ctx(), b)
			if err != nil {
				e.t.Fatalf("Compare: %v", err)
			}
			e.wantOutcomes(got.Tenants, store.OutcomeUnchanged)
			e.wantOutcomes(e.importedBatch(b).Tenants, store.OutcomeUnchanged)
		}},
		{"OfATenantThatLivedOn", func(e *env) {
			e.importAll(importBatch())
			e.update("acme", t0, store.Reactivate())
			got, err := e.importer().Compare(e.ctx(), importBatch())
			if err != nil {
				e.t.Fatalf("Compare: %v", err)
			}
			// An old file must not disable again what a person has brought back (G2).
			e.equal(store.OutcomeConflict, got.Tenants[0], "outcome of the reactivated tenant")
		}},
		{"ADeepChain_G5", compareDeep},
	}
}

// compareAgrees imports what was compared, and compares the outcomes.
func compareAgrees(e *env) {
	imp := e.importer()
	e.importAll(importBatch())
	b := importBatch()
	b.Tenants[3].Name = "Another"
	b.Tenants = append(b.Tenants, store.Tenant{ID: "new", ParentID: "beta", Status: store.StatusActive})
	b.Resources = append(b.Resources, resource("new", store.KindUser, "u"), resource("beta", store.KindCredential, "c"))
	said, err := imp.Compare(e.ctx(), b)
	if err != nil {
		e.t.Fatalf("Compare: %v", err)
	}
	e.equal(said, e.importedBatch(b), "what was said (-) and done (+)")
}

// compareDeep imports a chain as deep as real ones get and deeper, which
// nothing may walk by recursion or by climbing to the root for each.
func compareDeep(e *env) {
	e.importer()
	const depth = 3000
	var b store.Batch
	for i := range depth {
		tn := store.Tenant{ID: fmt.Sprintf("d%05d", i), Status: store.StatusActive}
		if i > 0 {
			tn.ParentID = fmt.Sprintf("d%05d", i-1)
		}
		b.Tenants = append(b.Tenants, tn)
	}
	e.importAll(store.Batch{Tenants: b.Tenants[:depth/2]}, store.Batch{Tenants: b.Tenants[depth/2:]})
	bottom := fmt.Sprintf("d%05d", depth-1)
	_, err := e.s.Create(e.ctx(), store.Tenant{ID: "below", ParentID: bottom}, by(t0))
	if err != nil {
		e.t.Fatalf("Create below the deepest: %v", err)
	}
	e.deactivate("d00000", t0, 10)
	_, err = e.tryUpdate("below", t0, store.Reactivate())
	e.wantCode(err, store.Precondition, "Reactivate far below a disabled tenant")
	r := e.purge("d00000", due10)
	if len(r.Tenants) != depth+1 || r.Tenants[0] != "below" || r.Tenants[depth] != "d00000" || r.Deleted.SubTenants != depth {
		e.t.Errorf("the receipt lists %d tenants, from %q, and %d sub-tenants", len(r.Tenants), r.Tenants[0], r.Deleted.SubTenants)
	}
}
