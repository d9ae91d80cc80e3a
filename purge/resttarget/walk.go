package resttarget

import (
	"context"
	"errors"
	"hash/maphash"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// walk goes through the pages of a list. It keeps no page: its memory does not
// grow with the list.
type walk struct {
	t        *Target
	l        *list
	tenant   string
	patience *httpcall.Patience // that of the call

	next     string // URL of the next page, of paging by link
	cursor   string
	received int64 // items, of every owner
	page     int64
	asked    int // pages
	pages    int // that had items
	done     bool
	cut      bool  // done, and there may be more
	skipped  int64 // items of other tenants

	seed maphash.Seed
	last uint64 // the ids of the page before
	sum  uint64 // of all ids, in any order
	// total is what each page said that it was; moved that they did not agree.
	total int64
	moved bool
	// unowned is an item of the last page that had any.
	unowned gjson.Result
	circle  httpcall.Circle
}

func (t *Target) walk(l *list, tenantID string, p *httpcall.Patience) *walk {
	return &walk{t: t, l: l, tenant: tenantID, patience: p, page: int64(l.Paging.First), seed: t.seed, total: -1}
}

// step returns the ids of the tenant's resources on the next page; none when
// the list is done, and perhaps before.
func (w *walk) step(ctx context.Context) ([]string, error) {
	if w.done {
		return nil, nil
	}
	r, err := w.request()
	if err != nil {
		return nil, err
	}
	w.asked++
	a, err := w.patience.Do(ctx, w.t.client, r)
	if err != nil {
		return nil, err
	}
	body, err := found(r, a, w.l.NotFoundIsEmpty)
	if err != nil {
		return nil, err
	}
	if body == nil {
		w.done = true
		if w.received > 0 { // known a page ago
			return nil, httpcall.StatusError(r, a)
		}
		return nil, nil
	}
	items, err := w.items(r, a, body)
	if err != nil {
		return nil, err
	}
	ids, err := w.owned(r, a, items)
	if err != nil {
		return nil, err
	}
	if len(items) > 0 {
		w.pages++
		w.unowned = items[len(items)-1]
	}
	w.received += int64(len(items))
	if err = w.advance(r, a, body, len(items)); err != nil {
		return ids, err
	}
	if limit := int64(w.l.Paging.Max); !w.done && limit > 0 && w.received+int64(w.l.Paging.Size) > limit {
		w.done, w.cut = true, true
	}
	return ids, w.ownerless(r, a)
}

// request returns the one for the page that comes now.
func (w *walk) request() (httpcall.Request, error) {
	p := w.l.Paging
	position := ""
	switch p.Type {
	case PagingCursor:
		position = w.cursor
	case PagingOffset:
		position = strconv.FormatInt(w.received+int64(p.First), 10)
	case PagingPage:
		position = strconv.FormatInt(w.page, 10)
	}
	size := strconv.Itoa(p.Size)
	r, err := w.l.op.request(vars{varTenant: w.tenant, varLimit: size, varCursor: position, varOffset: position, varPage: position})
	if err != nil {
		return r, err
	}
	if w.next != "" {
		r.URL = w.next
		return r, nil
	}
	r.URL = with(r.URL, p.SizeParam, size)
	r.URL = with(r.URL, p.Param, position)
	return r, nil
}

// with adds a parameter to the query of a URL, unless its name or value is "".
func with(u, name, value string) string {
	if name == "" || value == "" {
		return u
	}
	sep := "?"
	if strings.Contains(u, "?") {
		sep = "&"
	}
	return u + sep + url.QueryEscape(name) + "=" + httpcall.Escape(value)
}

// advance finds out where the list goes on.
func (w *walk) advance(r httpcall.Request, a *httpcall.Response, body []byte, items int) error {
	p := w.l.Paging
	if p.More != "" {
		more := gjson.GetBytes(body, p.More)
		if !more.IsBool() {
			return httpcall.Unusable(r, a, "no boolean at more %q", p.More)
		}
		if !more.Bool() {
			w.done = true
			return nil
		}
	}
	switch p.Type {
	case PagingLink:
		return w.follow(r, a, body)
	case PagingCursor:
		w.cursor, _ = scalar(gjson.GetBytes(body, p.Next))
		w.done = w.cursor == ""
		if w.done && p.More != "" {
			return httpcall.Unusable(r, a, "there is more, and no cursor at next %q", p.Next)
		}
		return w.circles(r, a, w.cursor)
	case PagingOffset, PagingPage:
		w.page++
		w.done = items == 0 && p.More == ""
		if p.Total == "" {
			return nil
		}
		total := gjson.GetBytes(body, p.Total)
		n, err := strconv.ParseInt(total.String(), 10, 64)
		if err != nil || n < 0 {
			return httpcall.Unusable(r, a, "no number at total %q", p.Total)
		}
		w.moved = w.moved || w.total >= 0 && w.total != n
		w.total = n
		w.done = w.done || w.received >= n
		return nil
	}
	w.done = true
	return w.whole(r, a, body)
}

// follow takes the URL of the next page from an answer. It is relative to the
// page that has it, and whether it may be called is the client's to say.
func (w *walk) follow(r httpcall.Request, a *httpcall.Response, body []byte) error {
	var link string
	if w.l.Paging.Next != "" {
		link = gjson.GetBytes(body, w.l.Paging.Next).String()
		if link == "false" {
			link = ""
		}
	} else {
		var err error
		if link, err = httpcall.NextLink(a.Header); err != nil {
			return httpcall.Unusable(r, a, "%w", err)
		}
	}
	if link == "" {
		w.done = true
		return nil
	}
	u, err := a.URL.Parse(link)
	if err != nil {
		return httpcall.Unusable(r, a, "the link to the next page is not a URL")
	}
	w.next = u.String()
	return w.circles(r, a, w.next)
}

// errCircle says that a list would never end.
var errCircle = errors.New("the pages go round in a circle")

// circles returns an error when a position comes up that has been before.
func (w *walk) circles(r httpcall.Request, a *httpcall.Response, position string) error {
	if !w.done && w.circle.Back(position) {
		return httpcall.Unusable(r, a, "%w", errCircle)
	}
	return nil
}
