package purge

import (
	"context"
	"iter"

	"github.com/tenantpurge/purger/store"
)

// kin is what who is asked about a subtree needs to know of a tenant of it.
type kin struct {
	id, parent string
	disabled   bool
}

// family returns a tenant and everything below it that can still be claimed, the
// tenant first.
func (e *Engine) family(ctx context.Context, top string) ([]kin, error) {
	t, err := e.store.Tenant(ctx, top)
	if err != nil {
		return nil, err
	}
	of := func(t *store.Tenant) kin { return kin{t.ID, t.ParentID, t.Status == store.StatusDisabled} }
	list := []kin{of(&t)}
	for i := 0; i < len(list); i++ { // no recursion, since depth is data
		for t, err := range e.children(ctx, list[i].id) {
			if err != nil {
				return nil, err
			}
			if !t.Status.Irrevocable() {
				list = append(list, of(t))
			}
		}
	}
	return list, nil
}

// subtree returns the ids of a tenant and everything below it, the tenant first.
func (e *Engine) subtree(ctx context.Context, top string) ([]string, error) {
	ids := []string{top}
	for i := 0; i < len(ids); i++ {
		for t, err := range e.children(ctx, ids[i]) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, t.ID)
		}
	}
	return ids, nil
}

// children yields the tenants right below one, or the error that ends that.
func (e *Engine) children(ctx context.Context, parent string) iter.Seq2[*store.Tenant, error] {
	return func(yield func(*store.Tenant, error) bool) {
		f := store.Filter{ParentID: &parent, Limit: store.MaxPage}
		for {
			page, err := e.store.Tenants(ctx, f)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if len(page) < store.MaxPage {
				return
			}
			f.After = page[len(page)-1].ID
		}
	}
}
