package resttarget

import (
	"context"
	"mime"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// Purge implements [purge.Target].
func (t *Target) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	c, err := t.kind(r.Kind)
	if err != nil {
		return purge.Removed{}, err
	}
	if err := t.prove(ctx, c); err != nil {
		return purge.Removed{}, err
	}
	if c.purge != nil {
		return t.purgeAll(ctx, c, r)
	}
	if c.del.Repeat > 1 {
		// Two steps at once could not tell whose delete it was.
		done, err := t.turns.Wait(ctx, r.TenantID)
		if err != nil {
			return purge.Removed{}, store.Errorf(store.Unavailable, "another step on this tenant is under way: %v", err)
		}
		defer done()
	}
	return t.purgeListed(ctx, c, r)
}

// purgeListed deletes the first resources of the list. They are all found
// before one is deleted, and each step begins at the first page: what moves up
// when something before it is deleted is not skipped.
func (t *Target) purgeListed(ctx context.Context, c *kind, r purge.Request) (did purge.Removed, err error) {
	began := time.Now()
	f := &search{t: t, l: c.list, tenant: r.TenantID, limit: min(r.Limit, httpcall.MaxStep), step: t.removals.Begin(r.TenantID, string(r.Kind))}
	f.anew()
	defer func() {
		if err == nil && !did.More {
			f.step.Finished()
		}
		f.step.End(err == nil && !did.More && did.Deleted == 0)
		t.noteSkipped(f.w, string(r.Kind))
	}()
	for {
		ids, over, err := f.next(ctx)
		switch {
		case err != nil:
			return did, err
		case over:
			did.More = f.w.cut
			return did, nil
		case len(ids) == 0:
			if err := f.catchUp(ctx, c.del); err != nil {
				did.More = true
				return did, err
			}
			continue
		}
		left, err := t.deleteFound(ctx, c, f, ids, began, &did)
		if err != nil || left {
			did.More = true
			return did, err
		}
		if did.Deleted > 0 || did.Inexact {
			// What is removed anew, and nothing else, came back: that is looked into.
			did.More = f.more() || did.Deleted == 0
			return did, nil
		}
		// A list that lags behind still has what is gone: look beyond. Nothing
		// was deleted, so nothing moved.
	}
}

// deleteFound deletes what was found while nobody goes through the list, and reports
// whether it left some.
func (t *Target) deleteFound(ctx context.Context, c *kind, f *search, ids []string, began time.Time, did *purge.Removed) (left bool, err error) {
	done, err := c.list.still.deleting(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	n, left, err := t.deleteAll(ctx, c.del, f.tenant, ids, f.step, began)
	did.Deleted, did.Gone, did.Inexact = did.Deleted+n.Deleted, did.Gone+n.Gone, n.Inexact
	return left, err
}

// delete deletes one resource, and reports whether it was there.
func (t *Target) delete(ctx context.Context, d *remove, tenantID, id string) (bool, error) {
	r, err := d.op.request(vars{varTenant: tenantID, varID: id})
	if err != nil {
		return false, err
	}
	r.Of = id
	for i := range d.Repeat {
		a, err := t.client.Do(ctx, r)
		if err != nil {
			return false, err
		}
		if gone(a.Status) {
			return i > 0, nil
		}
		if !a.OK() {
			return false, httpcall.StatusError(r, a)
		}
		if err := d.understood(r, a); err != nil {
			return false, err
		}
	}
	return true, nil
}

// understood checks the answer to a delete: none, or what is expected. A page
// of a proxy is not.
func (d *remove) understood(r httpcall.Request, a *httpcall.Response) error {
	if len(a.Body) == 0 && d.Expect == "" {
		return nil
	}
	if d.Accept != "" {
		if kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || kind != d.Accept {
			return httpcall.Unusable(r, a, "an answer that is not %s", d.Accept)
		}
		return nil
	}
	body, err := httpcall.JSON(r, a)
	if err != nil || d.Expect == "" {
		return err
	}
	if v := gjson.GetBytes(body, d.Expect); !v.Exists() || v.Type == gjson.False || v.Type == gjson.Null || v.String() == "" {
		return httpcall.Unusable(r, a, "nothing at expect %q", d.Expect)
	}
	return nil
}

// purgeAll makes the one call that removes all, or as many as the limit says.
func (t *Target) purgeAll(ctx context.Context, c *kind, r purge.Request) (purge.Removed, error) {
	p := c.purge
	var before int64
	if p.Deleted == "" {
		n, err := t.Count(ctx, r.TenantID, r.Kind)
		if err != nil || n == 0 {
			return purge.Removed{}, err
		}
		before = n
	}
	// A limit is a number in most APIs, and small.
	limit := min(r.Limit, 10_000)
	req, err := p.op.request(vars{varTenant: r.TenantID, varLimit: strconv.Itoa(limit)})
	if err != nil {
		return purge.Removed{}, err
	}
	a, err := t.client.Do(ctx, req)
	switch {
	case err != nil:
		return purge.Removed{}, err
	case gone(a.Status):
		return purge.Removed{}, nil
	case !a.OK():
		return purge.Removed{}, httpcall.StatusError(req, a)
	}
	if p.Deleted != "" {
		body, err := httpcall.JSON(req, a)
		if err != nil {
			return purge.Removed{}, err
		}
		n, err := number(req, a, body, p.Deleted)
		return purge.Removed{Deleted: n, More: n > 0 && p.op.has(varLimit)}, err
	}
	if len(a.Body) > 0 {
		if _, err := httpcall.JSON(req, a); err != nil {
			return purge.Removed{}, err
		}
	}
	after, err := t.Count(ctx, r.TenantID, r.Kind)
	if err != nil {
		// Something was removed, and nobody knows how much.
		return purge.Removed{}, store.Errorf(store.Internal, "removed, and not counted: %w", err)
	}
	return purge.Removed{Deleted: max(before-after, 0), More: after > 0}, nil
}
