package killtest

import (
	"context"
	"errors"
	"testing"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// snapshot is everything that a store holds while no process has it open.
type snapshot struct {
	gates     store.Gates
	live      map[string]store.Tenant
	resources map[string]map[store.Kind]map[string]string // by tenant, kind, id
	stones    map[string]store.Tombstone
	receipts  map[string]store.Receipt // by the id of the top
	audit     []store.Entry            // from a given one on
}

// look reads a store. Of the tenants that may be purged it is told the ids, and
// from where on the audit trail is new.
func look(t *testing.T, dir string, gone []string, from uint64) *snapshot {
	t.Helper()
	s, err := read(dir, gone, from)
	if err != nil {
		t.Fatalf("read the store: %v", err)
	}
	return s
}

func read(dir string, gone []string, from uint64) (s *snapshot, err error) {
	ctx := context.Background()
	st, err := boltstore.Open(ctx, boltstore.Options{Dir: dir, MustExist: true, MmapSize: 1 << 30})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s = &snapshot{
		live: map[string]store.Tenant{}, resources: map[string]map[store.Kind]map[string]string{},
		stones: map[string]store.Tombstone{}, receipts: map[string]store.Receipt{},
	}
	if s.gates, err = st.Gates(ctx); err != nil {
		return nil, err
	}
	for after := ""; ; {
		page, err := st.Tenants(ctx, store.Filter{After: after})
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			if s.resources[t.ID], err = resourcesOf(ctx, st, t.ID); err != nil {
				return nil, err
			}
			s.live[t.ID] = t
			after = t.ID
		}
		if len(page) < store.MaxPage {
			break
		}
	}
	if err := s.readGone(ctx, st, gone); err != nil {
		return nil, err
	}
	for {
		page, err := st.Audit(ctx, from, store.MaxPage)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return s, nil
		}
		s.audit = append(s.audit, page...)
		from = page[len(page)-1].Seq + 1
	}
}

// readGone reads what is left of purged tenants. An id that was never used has
// nothing.
func (s *snapshot) readGone(ctx context.Context, st *boltstore.Store, ids []string) error {
	for _, id := range ids {
		if _, ok := s.live[id]; ok {
			continue
		}
		stone, err := st.Tombstone(ctx, id)
		if store.CodeOf(err) == store.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		s.stones[id] = stone
		r, err := st.Receipt(ctx, stone.PurgedWith)
		switch {
		case err == nil:
			s.receipts[stone.PurgedWith] = r
		case store.CodeOf(err) != store.NotFound && store.CodeOf(err) != store.Precondition:
			return err
		}
	}
	return nil
}

// resourcesOf reads what a tenant has.
func resourcesOf(ctx context.Context, st *boltstore.Store, id string) (map[store.Kind]map[string]string, error) {
	all := map[store.Kind]map[string]string{}
	for _, k := range store.Kinds() {
		all[k] = map[string]string{}
		for after := ""; ; {
			page, err := st.List(ctx, id, k, after, store.MaxPage)
			if err != nil {
				return nil, err
			}
			for _, r := range page {
				all[k][r.ID] = string(r.Data)
				after = r.ID
			}
			if len(page) < store.MaxPage {
				break
			}
		}
	}
	return all, nil
}
