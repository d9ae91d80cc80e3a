package purge

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

// Who is asked about is kept. A sub-tenant that the source got since the last sync
// is not, and whoever purges the tenant above it leaves it behind, or takes it
// along, where a database cascades. So the source is asked for those below, too.

// strangers looks for children of a family that nobody here knows of.
type strangers struct {
	e      *Engine
	top    string
	family map[string]struct{}

	mu    sync.Mutex
	block *store.Block // for the first of them; nil for none
	err   error        // of the store
}

// confirmChildren asks the source, if it can tell, for what is below a family, and
// adds to c why the first tenant of it has to wait for that.
func (e *Engine) confirmChildren(ctx context.Context, s *settings, family []kin, c *confirmation) {
	src, ok := e.source.(ChildSource)
	if !ok || !src.TellsChildren() {
		return
	}
	at := strangers{e: e, top: family[0].id, family: make(map[string]struct{}, len(family))}
	ids := make([]string, len(family))
	for i, k := range family {
		ids[i] = k.id
		at.family[k.id] = struct{}{}
	}
	size, together := 1, sourceTogether
	if _, ok := e.source.(BatchSource); ok {
		size, together = store.MaxPage, 1
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(together)
	for parents := range slices.Chunk(ids, size) {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			_, err := askSource(gctx, e, s.CallTimeout, func(call context.Context) (struct{}, error) {
				// The end of a call is no failure of the store.
				return struct{}{}, src.Children(call, parents, func(r SourceRow) error { return at.take(ctx, &r) })
			})
			return err
		})
	}
	err := g.Wait()
	switch {
	case at.err != nil:
		c.err = at.err
	case at.block != nil: // that much it did answer
		c.waits(at.top, checkUnread, at.block)
	case err != nil:
		c.silent(ctx, e, at.top, err)
	}
}

// take looks at a child. It may be called side by side.
func (s *strangers) take(ctx context.Context, r *SourceRow) error {
	id := r.Tenant.ID
	if _, ok := s.family[id]; ok { // it was asked about by its id
		return nil
	}
	readable := store.CheckID("id", id) == nil
	if !readable {
		id = s.top
		if _, ok := s.family[r.Tenant.ParentID]; ok {
			id = r.Tenant.ParentID
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := store.Worse(s.top, s.block, &store.Block{Reason: store.BlockSource, By: id})
	if b == s.block || s.err != nil {
		return s.err
	}
	if readable {
		var over bool
		if over, s.err = s.e.irrevocable(ctx, id); over || s.err != nil {
			return s.err
		}
	}
	s.block = b
	return nil
}

// irrevocable reports whether a tenant was purged, or is past the point of return. A
// source may list it as long as it likes, whatever it says of it: nothing that is
// done to those above changes what becomes of it. One that is being purged by a
// claim of its own below this family is the store's to wait for.
func (e *Engine) irrevocable(ctx context.Context, id string) (bool, error) {
	t, err := e.store.Tenant(ctx, id)
	switch store.CodeOf(err) {
	case "":
		return t.Status.Irrevocable(), nil
	case store.Gone:
		return true, nil
	case store.NotFound:
		return false, nil
	}
	return false, err
}
