package restsource

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// pages goes through the pages of a list.
type pages struct {
	paging Paging
	start  string // the URL of the first page, without the parameter for the page
	n      int    // pages so far
	rows   int
	total  int
	empty  int // pages without a tenant, up to the last one
	circle httpcall.Circle
	// last is the tenants of the last page: when they come again, the API does not
	// know the parameter.
	last string
}

// mostEmpty is how many pages in a row may have no tenant, as those of a list have
// that is filtered page by page.
const mostEmpty = 1000

// first returns the URL of the first page.
func (p *pages) first(raw string) (string, error) {
	u, q, err := parse(raw)
	if err != nil {
		return "", err
	}
	if p.paging.SizeParam != "" {
		q.Set(p.paging.SizeParam, strconv.Itoa(p.paging.Size))
		u.RawQuery = q.Encode()
	}
	p.start = u.String()
	switch p.paging.Type {
	case PagingOffset:
		return p.with("0")
	case PagingPage:
		return p.with(strconv.Itoa(p.paging.First))
	}
	return p.start, nil
}

// with returns the URL of a page.
func (p *pages) with(value string) (string, error) {
	u, q, err := parse(p.start)
	if err != nil {
		return "", err
	}
	q.Set(p.paging.Param, value)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// next returns the URL of the page behind one that had n tenants, "" behind the
// last. A page that is shorter than asked for is no proof of the end.
func (p *pages) next(a *httpcall.Response, body, items gjson.Result, n int) (string, error) {
	p.n++
	if p.empty++; n > 0 {
		p.empty = 0
	}
	if p.empty > mostEmpty {
		return "", store.Errorf(store.Unavailable, "list: %d pages in a row have no tenant", p.empty)
	}
	switch p.paging.Type {
	case PagingLink:
		to, err := p.link(a, body)
		if to == "" || err != nil {
			return "", err
		}
		u, err := a.URL.Parse(to)
		if err != nil {
			return "", store.Errorf(store.Unavailable, "the URL of the next page cannot be read")
		}
		return u.String(), p.progress(u.String())
	case PagingCursor:
		to := told(body.Get(p.paging.Next))
		if to == "" {
			return "", nil
		}
		if err := p.progress(to); err != nil {
			return "", err
		}
		return p.with(to)
	case PagingOffset, PagingPage:
		if n == 0 {
			return "", nil
		}
		if err := p.unlike(items.Raw); err != nil {
			return "", err
		}
		if p.paging.Type == PagingPage {
			return p.with(strconv.Itoa(p.paging.First + p.n))
		}
		return p.with(strconv.Itoa(p.rows))
	}
	return "", nil
}

// progress refuses to go where it has been.
func (p *pages) progress(to string) error {
	if p.circle.Back(to) {
		return store.Errorf(store.Unavailable, "list: page %d leads to one that was read before", p.n)
	}
	return nil
}

// link returns what an answer says of the URL of the next page, "" behind the last. A
// Link header that cannot be read is not the end of a list.
func (p *pages) link(a *httpcall.Response, body gjson.Result) (string, error) {
	if p.paging.Next != "" {
		return told(body.Get(p.paging.Next)), nil
	}
	to, err := httpcall.NextLink(a.Header)
	if err != nil {
		return "", store.Errorf(store.Unavailable, "list: page %d: %w", p.n, err)
	}
	return to, nil
}

// told returns a cursor or URL; "" where there is none, null, or false.
func told(v gjson.Result) string {
	if v.Type == gjson.False {
		return ""
	}
	return v.String()
}

// unlike refuses a page with the tenants of the one before.
func (p *pages) unlike(items string) error {
	if p.n > 1 && items == p.last {
		return store.Errorf(store.Unavailable, "list: page %d is the one before; does the API know the parameter %q?", p.n, p.paging.Param)
	}
	p.last = items
	return nil
}
