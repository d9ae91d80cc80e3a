package restsource

import (
	"context"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

var _ purge.ChildSource = (*Source)(nil)

// TellsChildren implements [purge.ChildSource].
func (s *Source) TellsChildren() bool { return s.cfg.Children.URL != "" }

// Children implements [purge.ChildSource]. It asks about one parent after the other.
func (s *Source) Children(ctx context.Context, parents []string, yield func(purge.SourceRow) error) error {
	if !s.TellsChildren() {
		return store.Errorf(store.Precondition, "there is no children.url")
	}
	for _, id := range parents {
		if err := s.below(ctx, id, yield); err != nil {
			return err
		}
	}
	return nil
}

// below yields the tenants right below one. An API that does not know the parameter
// lists others, too, and that is no answer. One that says of a child nothing about its
// parent is believed.
func (s *Source) below(ctx context.Context, id string, yield func(purge.SourceRow) error) error {
	if _, err := httpcall.PathSegment(id); err != nil {
		return err
	}
	rows := 0
	req := of(s.children, id)
	a, err := s.each(ctx, &s.cfg.Children, req, func(r purge.SourceRow) error {
		rows++
		t := &r.Tenant
		if t.ID == id || t.ParentID != "" && t.ParentID != id {
			return store.Errorf(store.Unavailable, "the API lists tenant %s below tenant %s, and says that it is not: does it know the parameter in children.url?",
				store.Quote(t.ID), store.Quote(id))
		}
		t.ParentID = id
		return yield(r)
	})
	if err == nil || rows > 0 || a == nil || !absent(a) {
		return err
	}
	// A tenant that does not exist has none. Of one that does, it is the URL that
	// does not exist.
	if _, unknown := s.Tenant(ctx, id); store.CodeOf(unknown) == store.NotFound {
		return nil
	}
	return err
}
