package boltstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// importFill is how full an import makes pages, since it writes keys in order.
const importFill = 0.9

// BeginImport implements [store.Importer].
func (s *Store) BeginImport(ctx context.Context, imp store.Import, o store.Origin) error {
	imp.Since.Time = store.Trim(o.At)
	err := s.view(ctx, func(tx *bolt.Tx) error { return s.room(tx.DB(), stepRoom) })
	if err != nil {
		return err
	}
	_, err = s.ChangeGates(ctx, store.GateChange{
		Action: store.ActionImportOpen,
		Apply: func(g *store.Gates, _ store.Origin) (map[string]string, error) {
			g.Import = &imp
			return map[string]string{"digest": imp.Digest}, nil
		},
	}, o)
	return err
}

// EndImport implements [store.Importer].
func (s *Store) EndImport(ctx context.Context, o store.Origin) error {
	_, err := s.ChangeGates(ctx, store.GateChange{
		Action: store.ActionImportDone,
		Apply: func(g *store.Gates, _ store.Origin) (map[string]string, error) {
			if g.Import == nil {
				return nil, nil
			}
			digest := g.Import.Digest
			g.Import = nil
			return map[string]string{"digest": digest}, nil
		},
	}, o)
	return err
}

// Compare implements [store.Importer].
func (s *Store) Compare(ctx context.Context, b store.Batch) (store.Imported, error) {
	out := store.Imported{
		Tenants: make([]store.Outcome, len(b.Tenants)), Resources: make([]store.Outcome, len(b.Resources)),
	}
	data, err := prepareResources(b.Resources)
	if err != nil {
		return out, err
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		inBatch := make(map[string]store.Outcome, len(b.Tenants))
		open := newOpened(tx)
		for i := range b.Tenants {
			t := trimmed(&b.Tenants[i])
			o, err := compareTenant(open, &t, inBatch)
			if err != nil {
				return err
			}
			out.Tenants[i], inBatch[t.ID] = o, o
		}
		for i := range b.Resources {
			o, err := compareResource(open, &b.Resources[i], data[i], inBatch)
			if err != nil {
				return err
			}
			out.Resources[i] = o
		}
		return nil
	})
	return out, err
}

// prepareResources validates resources and returns their data as it is kept.
func prepareResources(resources []store.Resource) ([][]byte, error) {
	data := make([][]byte, len(resources))
	for i := range resources {
		var err error
		if data[i], err = checkResource(&resources[i]); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// compareTenant tells what an import of a tenant would do.
func compareTenant(open *opened, t *store.Tenant, inBatch map[string]store.Outcome) (store.Outcome, error) {
	_, kept, err := open.find(t.ID)
	switch store.CodeOf(err) {
	case "":
		switch {
		case kept.Status.Irrevocable():
			return store.OutcomePurged, nil
		case store.SameImport(&kept.Tenant, t):
			return store.OutcomeUnchanged, nil
		}
		return store.OutcomeConflict, nil
	case store.Gone:
		return store.OutcomePurged, nil
	case store.NotFound:
	default:
		return 0, err
	}
	if t.ParentID == "" {
		return store.OutcomeNew, nil
	}
	return holder(open, t.ParentID, inBatch)
}

// holder tells whether a tenant can take new records: OutcomeNew when it can.
func holder(open *opened, id string, inBatch map[string]store.Outcome) (store.Outcome, error) {
	if o, ok := inBatch[id]; ok && (o == store.OutcomePurged || o == store.OutcomeNew) {
		return o, nil
	}
	_, kept, err := open.find(id)
	switch store.CodeOf(err) {
	case "":
		if kept.Status.Irrevocable() {
			return store.OutcomePurged, nil
		}
		return store.OutcomeNew, nil
	case store.Gone:
		return store.OutcomePurged, nil
	case store.NotFound:
		return store.OutcomeUnknown, nil
	}
	return 0, err
}

// compareResource tells what an import of a resource would do.
func compareResource(open *opened, r *store.Resource, data []byte, inBatch map[string]store.Outcome) (store.Outcome, error) {
	o, err := holder(open, r.TenantID, inBatch)
	if err != nil || o != store.OutcomeNew {
		return o, err
	}
	at, rec, err := open.find(r.TenantID)
	if store.CodeOf(err) == store.NotFound {
		return store.OutcomeNew, nil // its tenant is in the batch
	}
	if err != nil {
		return 0, err
	}
	old, err := at.tree.resource(resourceKey(r.Kind, rec.depth, at.ord, r.ID))
	switch {
	case err != nil:
		return 0, err
	case old == nil:
		return store.OutcomeNew, nil
	case bytes.Equal(old, data):
		return store.OutcomeUnchanged, nil
	}
	return store.OutcomeConflict, nil
}

// ImportBatch implements [store.Importer].
func (s *Store) ImportBatch(ctx context.Context, b store.Batch, o store.Origin) (store.Imported, error) {
	data, err := prepareResources(b.Resources)
	if err != nil {
		return store.Imported{}, err
	}
	tenants := make([]store.Tenant, len(b.Tenants))
	for i := range b.Tenants {
		if tenants[i], err = importable(&b.Tenants[i], o); err != nil {
			return store.Imported{}, err
		}
	}
	more := roomFor(data)
	var out store.Imported
	err = s.writeAt(ctx, background, o.At, func(w *wtx) error {
		out = store.Imported{
			Tenants: make([]store.Outcome, len(tenants)), Resources: make([]store.Outcome, len(b.Resources)),
		}
		if err := w.stepRoom(more); err != nil {
			return err
		}
		return w.importBatch(tenants, b.Resources, data, o, &out)
	})
	if err != nil {
		return store.Imported{}, err
	}
	return out, nil
}

// importable returns a tenant as an import writes it.
func importable(t *store.Tenant, o store.Origin) (store.Tenant, error) {
	if t.Status != store.StatusActive && t.Status != store.StatusDisabled {
		return store.Tenant{}, store.Errorf(store.Invalid, "tenant %q: status %q cannot be imported; want active or disabled", clip(t.ID), t.Status).At("status")
	}
	if err := t.Validate(); err != nil {
		return store.Tenant{}, err
	}
	n := trimmed(t)
	n.Version, n.Block, n.Purge = 1, nil, nil
	n.UpdatedAt = store.Trim(o.At)
	if n.CreatedAt.IsZero() {
		n.CreatedAt = n.UpdatedAt
	}
	if h := n.Hold; h != nil {
		if h.Since.IsZero() {
			h.Since = n.UpdatedAt
		}
		if h.Actor == (store.Actor{}) {
			h.Actor = o.Actor
		}
	}
	return n, nil
}

// trimmed returns a copy with all times cut to milliseconds.
func trimmed(t *store.Tenant) store.Tenant {
	n := *t
	n.CreatedAt, n.DisabledAt = store.Trim(n.CreatedAt), store.Trim(n.DisabledAt)
	n.EstimatedPurgeDate, n.ReactivatedAt = store.Trim(n.EstimatedPurgeDate), store.Trim(n.ReactivatedAt)
	if n.Hold != nil {
		h := *n.Hold
		h.Since, h.Until = store.Trim(h.Since), store.Trim(h.Until)
		n.Hold = &h
	}
	return n
}

// importBatch writes what is new of a batch.
func (w *wtx) importBatch(tenants []store.Tenant, resources []store.Resource, data [][]byte, o store.Origin, out *store.Imported) error {
	open := w.opened()
	inBatch := map[string]store.Outcome{}
	digest := sha256.New()
	var created int64
	var put store.Counts
	for i := range tenants {
		t := &tenants[i]
		oc, err := compareTenant(open, t, inBatch)
		if err != nil {
			return err
		}
		out.Tenants[i], inBatch[t.ID] = oc, oc
		switch oc {
		case store.OutcomeUnknown:
			return store.Errorf(store.Invalid, "tenant %q: parent %q is not known", t.ID, t.ParentID).At("parentId")
		case store.OutcomeNew:
		default:
			continue
		}
		if err := w.importTenant(t, open); err != nil {
			return err
		}
		created++
		_, _ = digest.Write([]byte("tenant\x00" + t.ID + "\x00"))
	}
	for i := range resources {
		r := &resources[i]
		oc, err := compareResource(open, r, data[i], inBatch)
		if err != nil {
			return err
		}
		out.Resources[i] = oc
		switch oc {
		case store.OutcomeUnknown:
			return store.Errorf(store.Invalid, "%s %q: tenant %q is not known", r.Kind, r.ID, r.TenantID).At("tenantId")
		case store.OutcomeNew:
		default:
			continue
		}
		at, rec, err := open.find(r.TenantID)
		if err != nil {
			return err
		}
		at.tree.fill = importFill
		if err := w.putResource(at, rec, r.Kind, r.ID, data[i]); err != nil {
			return err
		}
		put.Add(r.Kind, 1)
		_, _ = digest.Write([]byte(string(r.Kind) + "\x00" + r.TenantID + "\x00" + r.ID + "\x00"))
	}
	if created == 0 && put == (store.Counts{}) {
		return nil
	}
	if err := open.save(); err != nil {
		return err
	}
	_, err := w.audit(store.Entry{
		At: store.Timestamp{Time: o.At}, Actor: o.Actor.ID, Action: store.ActionImport, Counts: &put,
		// The digest is of kinds and ids, in the order in which they were written.
		Detail: map[string]string{"tenants": itoa(created), "idsSha256": hex.EncodeToString(digest.Sum(nil))},
	})
	return err
}

// importTenant writes a new tenant, using what is open.
func (w *wtx) importTenant(t *store.Tenant, open *opened) error {
	r := &record{Tenant: *t}
	var tr *tree
	if t.ParentID == "" {
		var err error
		if tr, err = w.createTree(); err != nil {
			return err
		}
		open.trees[tr.num] = tr
	} else {
		above, _, err := open.find(t.ParentID)
		if err != nil {
			return err
		}
		tr = above.tree
		if err := tr.below(r, above.ord); err != nil {
			return err
		}
	}
	return w.insertInto(tr, r)
}
