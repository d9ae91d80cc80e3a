package scimtarget

import (
	"context"
	"net/http"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// prove returns an error when nothing shows that the resources of an endpoint have
// the attribute: that a filter on it found none says nothing then (G6). It is shown
// by the server's schema, by a resource that has it, now or since the start, and by
// whoever confirmed it. Where the endpoint holds no resource at all, none is the
// tenant's, whatever the attribute is.
func (t *Target) prove(ctx context.Context, v *visit, e *endpoint) error {
	if v.known[e.path] || e.confirmed || e.shown.Load() {
		return nil
	}
	for _, filter := range []string{e.attr.String() + " pr", ""} {
		empty, err := t.sample(ctx, v, e, filter)
		if err != nil || e.shown.Load() || empty && filter == "" {
			return err
		}
	}
	return store.Errorf(store.Precondition, "%s: neither the server's schema nor any resource shows the attribute %s: if there is none of that name every tenant looks empty; "+
		"want another attribute, or attributeConfirmed if it is right", e.path, e.attr)
}

// sample looks whether resources have the attribute, by a page of those that a filter
// finds, "" being all. empty reports that the server says that there are none. A
// filter that the server does not take shows nothing.
func (t *Target) sample(ctx context.Context, v *visit, e *endpoint, filter string) (empty bool, err error) {
	query := "?attributes=" + httpcall.Escape("schemas,id,"+e.attr.String()) + "&startIndex=1&count=10"
	if filter != "" {
		query += "&filter=" + httpcall.Escape(filter)
	}
	r := get(e.path + query)
	a, err := v.patience.Do(ctx, t.http, r)
	switch {
	case err != nil:
		return false, err
	case a.Status >= 400 && a.Status < 500 && a.Status != http.StatusUnauthorized && a.Status != http.StatusRequestTimeout:
		return false, nil
	case a.Status != http.StatusOK:
		return false, httpcall.StatusError(r, a)
	}
	body, err := httpcall.JSON(r, a)
	if err != nil {
		return false, err
	}
	list, err := listOf(r, a, body)
	if err != nil {
		return false, err
	}
	for _, resource := range list.Resources {
		if values, err := e.attr.values(resource); err == nil && len(values) > 0 {
			e.shown.Store(true)
		}
	}
	return *list.TotalResults == 0 && len(list.Resources) == 0, nil
}

// evidence says on what it rests that resources have the attribute.
func (e *endpoint) evidence() string {
	switch {
	case e.shown.Load():
		return "that it is one is known from a resource that has it"
	case e.confirmed:
		return "that it is one is known from attributeConfirmed alone; if it is not, every tenant looks empty"
	}
	return "that it is one is not known, but the endpoint holds nothing"
}
