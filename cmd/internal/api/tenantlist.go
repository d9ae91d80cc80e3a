package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// listTenants answers GET /tenants.
func (s *server) listTenants(w http.ResponseWriter, r *request) error {
	sort, err := r.query.oneOf("sort", client.SortID, client.SortDate)
	if err != nil {
		return err
	}
	f, err := filterOf(r)
	if err != nil {
		return err
	}
	after, err := cursorOf(r.query, sort)
	if err != nil {
		return err
	}
	page := client.TenantPage{Data: []client.Tenant{}}
	if sort == client.SortDate {
		page.Next, err = s.byDate(r.Context(), f, after, &page.Data)
	} else {
		page.Next, err = s.byID(r.Context(), f, after, &page.Data)
	}
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, page)
}

// byID appends the tenants after a cursor and returns the cursor of the page
// after them.
func (s *server) byID(ctx context.Context, f store.Filter, after store.Cursor, to *[]client.Tenant) (next string, err error) {
	f.After = after.ID
	list, err := s.Store.Tenants(ctx, f)
	if err != nil {
		return "", err
	}
	for _, t := range list {
		*to = append(*to, wireTenant(t))
	}
	if len(list) == f.Limit {
		next = pageAfter(client.SortID, store.Cursor{ID: list[len(list)-1].ID})
	}
	return next, nil
}

// byDate is byID for disabled tenants in the order of their dates. One that
// becomes another while the page is made may be missing or be there twice.
func (s *server) byDate(ctx context.Context, f store.Filter, after store.Cursor, to *[]client.Tenant) (next string, err error) {
	if f.Status != "" && f.Status != store.StatusDisabled {
		return "", parameterf("status", "status %q: only disabled tenants have a date to sort by", f.Status)
	}
	end := f.DueBy
	if end.IsZero() {
		end = time.UnixMilli(math.MaxInt64)
	}
	for {
		list, err := s.Store.Due(ctx, end, after, f.Limit)
		if err != nil {
			return "", err
		}
		for _, c := range list {
			after = c.Cursor
			t, err := s.Store.Tenant(ctx, c.ID)
			switch code := store.CodeOf(err); {
			case code == store.NotFound || code == store.Gone:
				continue
			case err != nil:
				return "", err
			case t.Status != store.StatusDisabled || f.ParentID != nil && t.ParentID != *f.ParentID:
				continue
			}
			if *to = append(*to, wireTenant(t)); len(*to) == f.Limit {
				return pageAfter(client.SortDate, after), nil
			}
		}
		if len(list) < f.Limit {
			return "", nil
		}
	}
}

// filterOf reads what the query of GET /tenants selects.
func filterOf(r *request) (store.Filter, error) {
	var f store.Filter
	if v, ok := r.query["status"]; ok {
		status, err := store.ParseStatus(v)
		if err != nil {
			return f, inParameter(err)
		}
		if status == store.StatusDeleted {
			return f, parameterf("status", "status %q: tombstones are not listed; read one by its id, with allow_deleted=true", v)
		}
		f.Status = status
	}
	due, err := r.query.flag("due")
	if err != nil {
		return f, err
	}
	if due {
		f.DueBy = r.origin().At
	}
	if v, ok := r.query["parentId"]; ok {
		if v != "" {
			if err := store.CheckID("parentId", v); err != nil {
				return f, inParameter(err)
			}
		}
		f.ParentID = &v
	}
	limit, err := r.query.number("limit", 1, store.MaxPage, client.DefaultPage)
	f.Limit = int(limit)
	return f, err
}

// pageAfter returns the parameter page for what follows a cursor: the order's
// name and the cursor, in a form that callers have no reason to look into.
func pageAfter(sort string, c store.Cursor) string {
	b := []byte{sort[0]}
	if sort == client.SortDate {
		b = binary.BigEndian.AppendUint64(b, uint64(c.At.UnixMilli()))
	}
	return base64.RawURLEncoding.EncodeToString(append(b, c.ID...))
}

// cursorOf reads the parameter page.
func cursorOf(q query, sort string) (store.Cursor, error) {
	var c store.Cursor
	v, ok := q["page"]
	if !ok {
		return c, nil
	}
	bad := parameterf("page", "page %s: want the member next of the page before, with the same sort", store.Quote(v))
	b, err := base64.RawURLEncoding.Strict().DecodeString(v)
	if err != nil || len(b) == 0 || b[0] != sort[0] {
		return c, bad
	}
	if b = b[1:]; sort == client.SortDate {
		if len(b) < 8 {
			return c, bad
		}
		c.At, b = time.UnixMilli(int64(binary.BigEndian.Uint64(b))), b[8:]
	}
	if c.ID = string(b); store.CheckID("page", c.ID) != nil {
		return c, bad
	}
	return c, nil
}
