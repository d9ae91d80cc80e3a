package restsource

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// each yields the tenants of a list, whose first page, without what pages need, is
// asked for by req. The answer is the one that ended it, nil for none.
func (s *Source) each(ctx context.Context, l *List, req httpcall.Request, yield func(purge.SourceRow) error) (*httpcall.Response, error) {
	p := pages{paging: l.Paging}
	next, err := p.first(req.URL)
	for next != "" && err == nil {
		req.URL = next
		var a *httpcall.Response
		if a, err = s.do(ctx, req); err != nil {
			return nil, err
		}
		var body gjson.Result
		if body, err = success(req, a); err != nil {
			return a, err
		}
		items := at(body, l.Items)
		if !items.IsArray() {
			return a, unusable(req, a, "no array at %q", l.Items)
		}
		n := 0
		items.ForEach(func(_, v gjson.Result) bool {
			n++
			err = yield(s.cfg.row(v))
			return err == nil
		})
		if err != nil {
			return a, err
		}
		p.rows += n
		if err := p.count(l, req, a, body); err != nil {
			return a, err
		}
		next, err = p.next(a, body, items, n)
	}
	if err == nil && l.Total != "" && p.rows != p.total {
		err = store.Errorf(store.Unavailable, "list: %d tenants came, of %d that there are", p.rows, p.total)
	}
	return nil, err
}

// count takes the number of all tenants of a page.
func (p *pages) count(l *List, req httpcall.Request, a *httpcall.Response, body gjson.Result) error {
	if l.Total == "" {
		return nil
	}
	v := body.Get(l.Total)
	if v.Type != gjson.Number || !isInteger(v.Raw) {
		return unusable(req, a, "no number at %q", l.Total)
	}
	p.total = int(v.Int())
	return nil
}

// absent reports whether an answer says that there is no such thing. An HTML page
// with status 404 is most likely that of a proxy.
func absent(a *httpcall.Response) bool {
	return (a.Status == http.StatusNotFound || a.Status == http.StatusGone) && httpcall.IsJSON(a)
}
