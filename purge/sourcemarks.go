package purge

import (
	"context"

	"github.com/tenantpurge/purger/store"
)

// marker makes the marks of a kind those that are wanted.
type marker struct {
	d    *diff
	lift bool // takes away those that are not wanted
	kept pager[store.SourceMark]
	c    store.SourceChange
	// found, unless nil, is called ahead of each new mark.
	found func(id string)
}

func (d *diff) marker(ctx context.Context, kind store.MarkKind, lift bool) *marker {
	return &marker{d: d, lift: lift, kept: d.s.marksOf(ctx, kind), c: store.SourceChange{Kind: kind}}
}

// want takes a mark that is wanted. They come in the order of their ids, and one
// may come again. One that is there keeps its instant.
func (m *marker) want(ctx context.Context, w store.SourceMark) error {
	old, err := m.skip(ctx, w.ID)
	if err != nil {
		return err
	}
	switch n := len(m.c.Mark); {
	case n > 0 && m.c.Mark[n-1].ID == w.ID:
		return nil
	case old == nil:
		w.At = store.Timestamp{Time: store.Trim(m.d.now)}
		if m.found != nil {
			m.found(w.ID)
		}
	case old.By == w.By || !m.lift:
		return nil
	default:
		w.At = old.At
	}
	m.c.Mark = append(m.c.Mark, w)
	return m.flush(ctx, syncBatch)
}

// skip goes past the marks before an id, "" for all, which are not wanted, and
// returns the one of the id.
func (m *marker) skip(ctx context.Context, id string) (*store.SourceMark, error) {
	for {
		old, err := m.kept.peek()
		if err != nil || old == nil || id != "" && old.ID > id {
			return nil, err
		}
		m.kept.advance()
		if old.ID == id {
			return old, nil
		}
		if !m.lift {
			continue
		}
		m.c.Unmark = append(m.c.Unmark, old.ID)
		if err := m.flush(ctx, syncBatch); err != nil {
			return nil, err
		}
	}
}

// end goes past the marks that are left, and writes what is to be written.
func (m *marker) end(ctx context.Context) error {
	if _, err := m.skip(ctx, ""); err != nil {
		return err
	}
	return m.flush(ctx, 1)
}

// flush writes the marks once there are so many.
func (m *marker) flush(ctx context.Context, atLeast int) error {
	if len(m.c.Mark)+len(m.c.Unmark) < atLeast {
		return nil
	}
	_, err := m.d.s.change(ctx, m.d.now, m.c)
	m.c.Mark, m.c.Unmark = nil, nil
	return err
}

// marksOf goes through the marks of a kind.
func (s *Syncer) marksOf(ctx context.Context, kind store.MarkKind) pager[store.SourceMark] {
	return pager[store.SourceMark]{
		id: func(m *store.SourceMark) string { return m.ID },
		fetch: func(after string) ([]store.SourceMark, error) {
			return s.keeper.SourceMarks(ctx, kind, after, store.MaxPage)
		},
	}
}
