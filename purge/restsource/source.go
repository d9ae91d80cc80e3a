package restsource

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// idPlace is where the id of a tenant goes in a URL.
const idPlace = "{id}"

// Source reads tenants from a REST API. It implements [purge.ChildSource],
// [purge.Checker] and [purge.Doctor]. It is safe for concurrent use.
type Source struct {
	cfg   Config
	call  *httpcall.Client
	turns *turns
	// list, get and children are requests without what is filled in for a page or a
	// tenant.
	list, get, children httpcall.Request
}

// Options are those of the calls.
type Options = httpcall.Options

// New returns a source. It calls nobody. Errors: Invalid, all that there are, joined,
// which name their fields as the configuration does.
func New(cfg Config, opt Options) (*Source, error) {
	cfg = cfg.withDefaults()
	c, err := httpcall.New(httpcall.Config{
		BaseURL: cfg.BaseURL, Hosts: cfg.Hosts, Insecure: cfg.Insecure, Auth: cfg.Auth, CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key,
		Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Header: cfg.Headers,
	}, opt)
	if err = errors.Join(cfg.validate(), err); err != nil {
		return nil, err
	}
	var errs []error
	s := &Source{cfg: cfg, call: c, turns: newTurns(cfg.Rate)}
	for _, u := range []struct {
		field, url string
		to         *httpcall.Request
	}{{"list.url", cfg.List.URL, &s.list}, {"get.url", cfg.Get.URL, &s.get}, {"children.url", cfg.Children.URL, &s.children}} {
		if u.url == "" { // that of the children
			continue
		}
		if u.to.URL, u.to.Shown, err = cfg.Secrets.URL(u.url); err == nil {
			err = c.Allowed(of(*u.to, "id"))
		}
		if err != nil {
			errs = append(errs, store.Errorf(store.Invalid, "%s: %w", u.field, err).At(u.field))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Name implements [purge.Source].
func (s *Source) Name() string { return s.cfg.Name }

// Close closes the connections that are kept.
func (s *Source) Close() error { return s.call.Close() }

// of returns the request for one tenant, if r has a place for its id.
func of(r httpcall.Request, id string) httpcall.Request {
	r.URL = strings.Replace(r.URL, idPlace, httpcall.Escape(id), 1)
	return r
}

// Tenant implements [purge.Source].
func (s *Source) Tenant(ctx context.Context, id string) (purge.SourceTenant, error) {
	if _, err := httpcall.PathSegment(id); err != nil {
		return purge.SourceTenant{}, err
	}
	req := of(s.get, id)
	a, err := s.do(ctx, req)
	switch {
	case err != nil:
		return purge.SourceTenant{}, err
	case absent(a):
		return purge.SourceTenant{}, store.Errorf(store.NotFound, "the source does not know tenant %q", id)
	}
	body, err := success(req, a)
	if err != nil {
		return purge.SourceTenant{}, err
	}
	item := at(body, s.cfg.Get.Item)
	row := s.cfg.row(item)
	switch {
	case !item.IsObject():
		return purge.SourceTenant{}, unusable(req, a, "no object at %q", s.cfg.Get.Item)
	case row.Err != nil:
		return purge.SourceTenant{}, store.Errorf(store.Invalid, "tenant %q: %w", id, row.Err)
	case row.Tenant.ID != id:
		return purge.SourceTenant{}, store.Errorf(store.Invalid, "asked for tenant %q, the source answered with another", id)
	}
	return row.Tenant, nil
}

// Tenants implements [purge.Source].
func (s *Source) Tenants(ctx context.Context, yield func(purge.SourceRow) error) error {
	_, err := s.each(ctx, &s.cfg.List, s.list, yield)
	return err
}

// at returns what is at a path; "" is the whole.
func at(body gjson.Result, path string) gjson.Result {
	if path == "" {
		return body
	}
	return body.Get(path)
}

// success returns the JSON of a success.
func success(req httpcall.Request, a *httpcall.Response) (gjson.Result, error) {
	if a.Status != http.StatusOK {
		return gjson.Result{}, unavailable(httpcall.StatusError(req, a))
	}
	b, err := httpcall.JSON(req, a)
	if err != nil {
		return gjson.Result{}, unavailable(err)
	}
	return gjson.ParseBytes(b), nil
}

// unusable is an answer of which nothing can be made.
func unusable(req httpcall.Request, a *httpcall.Response, format string, args ...any) error {
	return unavailable(httpcall.Unusable(req, a, format, args...))
}

// unavailable says that nobody answered anything about a tenant, whatever the
// call was answered with.
func unavailable(err error) error { return store.Errorf(store.Unavailable, "%w", err) }

// parse returns a URL, or a path, with its query apart.
func parse(raw string) (*url.URL, url.Values, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, nil, store.Errorf(store.Unavailable, "the URL of the next page cannot be read")
	}
	return u, u.Query(), nil
}
