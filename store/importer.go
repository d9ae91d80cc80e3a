package store

import "context"

// Importer is implemented by a store that can be filled from outside.
//
// An import is: BeginImport, any number of ImportBatch, EndImport. From the
// acknowledgement of the first to that of the last the gate [GateImport] is
// closed. Beginning again, with whatever digest, continues; whoever imports
// compares the digest with that of [Gates.Import] first.
type Importer interface {
	// BeginImport closes the gate. Errors: those of writing.
	BeginImport(ctx context.Context, imp Import, o Origin) error
	// ImportBatch writes one batch in one transaction. A record that is there
	// already is left as it is: equal or conflicting, it is told which; one
	// whose tenant was purged is skipped. An Invalid error (an unknown parent,
	// a status that cannot be imported) writes nothing of the batch.
	ImportBatch(ctx context.Context, b Batch, o Origin) (Imported, error)
	// EndImport opens the gate.
	EndImport(ctx context.Context, o Origin) error
	// Compare tells for each record of the batch what ImportBatch would do,
	// and changes nothing.
	Compare(ctx context.Context, b Batch) (Imported, error)
}

// Batch is a part of an import. Tenants come before their sub-tenants and
// before their resources, in this batch or an earlier one. Resources are best
// sorted by kind, then tenant, then id.
type Batch struct {
	Tenants   []Tenant
	Resources []Resource
}

// Outcome is what became of one record.
type Outcome uint8

// The outcomes.
const (
	OutcomeNew       Outcome = iota // written, or would be
	OutcomeUnchanged                // the same record is there
	OutcomeConflict                 // another record is there under the id
	OutcomePurged                   // its tenant was purged: skipped
	OutcomeUnknown                  // its tenant or parent is neither kept nor in the batch
)

// Imported has an outcome for each record of a batch, in its order.
type Imported struct {
	Tenants, Resources []Outcome
}

// SameImport reports whether an import of want over the kept record changes
// nothing. What a file need not say (versions, creation, actors, the instant a
// hold began) is not compared.
func SameImport(kept, want *Tenant) bool {
	if kept.ID != want.ID || kept.ParentID != want.ParentID || kept.Name != want.Name ||
		kept.Hostname != want.Hostname || kept.Status != want.Status ||
		kept.ActiveSubscriptions != want.ActiveSubscriptions ||
		!kept.DisabledAt.Equal(want.DisabledAt) || kept.PurgeAfterDays != want.PurgeAfterDays ||
		!kept.EstimatedPurgeDate.Equal(want.EstimatedPurgeDate) {
		return false
	}
	if kept.Hold == nil || want.Hold == nil {
		return kept.Hold == want.Hold
	}
	return kept.Hold.Reason == want.Hold.Reason && kept.Hold.Until.Equal(want.Hold.Until)
}
