package storetest

import (
	"context"
	"time"

	"github.com/tenantpurge/purger/store"
)

// snapshot is everything that the interfaces show of a store. Two stores with
// equal snapshots are the same to every caller.
type snapshot struct {
	Tenants    []store.Tenant
	Resources  map[string][]store.Resource
	Counts     map[string]store.Counts
	Tombstones map[string]store.Tombstone
	Receipts   map[string]store.Receipt
	Audit      []store.Entry
	Gates      store.Gates
	Runs       []store.Run
	Due        []store.Candidate
	Resumable  []store.Candidate
	Stats      store.Stats
	Approvals  []store.Approval
}

// farFuture is a time at which everything has come that can come.
var farFuture = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// snapshot reads the store.
func (e *env) snapshot() snapshot {
	e.t.Helper()
	sn, err := readAll(context.WithoutCancel(e.ctx()), e.s)
	if err != nil {
		e.t.Fatalf("read the store: %v", err)
	}
	return sn
}

// readAll reads everything that a store shows, but for its size.
func readAll(ctx context.Context, s store.Store) (snapshot, error) {
	sn := snapshot{
		Resources: map[string][]store.Resource{}, Counts: map[string]store.Counts{},
		Tombstones: map[string]store.Tombstone{}, Receipts: map[string]store.Receipt{},
	}
	var err error
	if sn.Tenants, err = allTenants(ctx, s); err != nil {
		return sn, err
	}
	if d, ok := s.(store.Directory); ok {
		for _, tn := range sn.Tenants {
			if sn.Counts[tn.ID], err = d.Count(ctx, tn.ID); err != nil {
				return sn, err
			}
			if sn.Resources[tn.ID], err = allResources(ctx, d, tn.ID); err != nil {
				return sn, err
			}
		}
	}
	if sn.Audit, err = auditFrom(ctx, s, 1); err != nil {
		return sn, err
	}
	for _, entry := range sn.Audit {
		if entry.Action != store.ActionPurge {
			continue
		}
		r, err := s.Receipt(ctx, entry.TenantID)
		if err != nil {
			return sn, err
		}
		sn.Receipts[r.TenantID] = r
		for _, id := range r.Tenants {
			if sn.Tombstones[id], err = s.Tombstone(ctx, id); err != nil {
				return sn, err
			}
		}
	}
	if sn.Gates, err = s.Gates(ctx); err != nil {
		return sn, err
	}
	if sn.Runs, err = s.Runs(ctx, 1000); err != nil {
		return sn, err
	}
	if sn.Due, err = s.Due(ctx, farFuture, store.Cursor{}, store.MaxPage); err != nil {
		return sn, err
	}
	if sn.Resumable, err = s.Resumable(ctx, farFuture, store.Cursor{}, store.MaxPage); err != nil {
		return sn, err
	}
	if a, ok := s.(store.Approver); ok {
		if sn.Approvals, err = a.Approvals(ctx, due10); err != nil {
			return sn, err
		}
	}
	sn.Stats, err = s.Stats(ctx, due10)
	sn.Stats.Size = store.FileStats{}
	return sn, err
}

// allTenants reads every record, page by page.
func allTenants(ctx context.Context, s store.Store) ([]store.Tenant, error) {
	var all []store.Tenant
	after := ""
	for {
		page, err := s.Tenants(ctx, store.Filter{After: after})
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
}

// allResources reads every resource of a tenant, in the order of removal.
func allResources(ctx context.Context, d store.Directory, tenantID string) ([]store.Resource, error) {
	var all []store.Resource
	for _, k := range store.Kinds() {
		after := ""
		for {
			page, err := d.List(ctx, tenantID, k, after, 500)
			if err != nil {
				return all, err
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = page[len(page)-1].ID
		}
	}
	return all, nil
}
