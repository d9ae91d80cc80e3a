package scimtarget

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// Options are what does not come from a configuration. The zero value is fine.
type Options struct {
	// Logger is told of what is no error and yet worth knowing; nil is silent.
	Logger *zap.Logger
	// HTTP are the hooks of the client.
	HTTP httpcall.Options
}

// Target is a [purge.Target], [purge.Checker] and [purge.Doctor]. It is safe for
// concurrent use.
type Target struct {
	cfg       Config
	http      *httpcall.Client
	log       *zap.Logger
	endpoints []endpoint
	provider  provider
}

// endpoint is a [Resource], read.
type endpoint struct {
	kind store.Kind
	path string
	attr attribute
}

// New returns a target, or a [store.Invalid] error that names the field. It calls
// nobody.
func New(cfg Config, opt Options) (*Target, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	client, err := httpcall.New(httpcall.Config{
		BaseURL: cfg.BaseURL, Insecure: cfg.Insecure, Auth: cfg.Auth, CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key,
		Header: cfg.Headers, Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Conns: max(cfg.Parallel, httpcall.DefaultConns),
	}, opt.HTTP)
	if err != nil {
		return nil, err
	}
	t := &Target{cfg: cfg, http: client, log: opt.Logger, provider: newProvider()}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	for _, r := range cfg.Resources {
		attr, err := parseAttribute(r.Attribute)
		if err != nil {
			return nil, err
		}
		t.endpoints = append(t.endpoints, endpoint{r.Kind, r.Endpoint, attr})
	}
	return t, nil
}

// Close closes idle connections.
func (t *Target) Close() error { return t.http.Close() }

// Name implements [purge.Target].
func (t *Target) Name() string { return t.cfg.Name }

// Kinds implements [purge.Target].
func (t *Target) Kinds() []store.Kind {
	var kinds []store.Kind
	for _, k := range store.Kinds() {
		if slices.ContainsFunc(t.endpoints, func(e endpoint) bool { return e.kind == k }) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Count implements [purge.Target].
func (t *Target) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	p, err := t.discover(ctx)
	if err != nil {
		return 0, err
	}
	var sum int64
	for i := range t.endpoints {
		if e := &t.endpoints[i]; e.kind == kind {
			n, err := t.count(ctx, p, e, tenantID)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// Purge implements [purge.Target].
func (t *Target) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	var did purge.Removed
	p, err := t.discover(ctx)
	if err != nil {
		return did, err
	}
	for i := range t.endpoints {
		e := &t.endpoints[i]
		if e.kind != r.Kind {
			continue
		}
		n, more, err := t.drain(ctx, p, e, r.TenantID, int64(r.Limit)-did.Deleted)
		did.Deleted += n
		if did.More = more; more || err != nil {
			return did, err
		}
	}
	return did, nil
}

// drain removes up to limit resources of a tenant from one endpoint, and reports
// whether there may be more: always, when it removed as many as that.
func (t *Target) drain(ctx context.Context, p *capabilities, e *endpoint, tenantID string, limit int64) (int64, bool, error) {
	var deleted int64
	enough := purge.Enough(ctx, time.Now())
	settled := map[string]bool{} // what the server said to be gone
	stale := 0
	for start := 1; ; {
		page, err := t.list(ctx, p, e, tenantID, start)
		if err != nil {
			return deleted, true, err
		}
		var items []item
		for _, it := range page.ours {
			if settled[it.id] {
				stale++
			} else if int64(len(items)) < limit-deleted {
				items = append(items, it)
			}
		}
		if len(items) == 0 {
			// Nothing was removed since the page before this one, if any: what
			// comes next is still there.
			if start += page.size; start <= page.total {
				continue
			}
			if stale > 0 {
				return deleted, true, store.Errorf(store.Unavailable,
					"%s still lists %d resources that it said to be removed", e.path, stale)
			}
			return deleted, false, nil
		}
		before := len(settled)
		n, err := t.remove(ctx, p, e, tenantID, items, settled)
		deleted += n
		if err != nil || deleted >= limit || deleted > 0 && enough(deleted) {
			return deleted, true, err
		}
		if n == 0 && len(settled) == before {
			return deleted, true, store.Errorf(store.Unavailable, "%s: the server answers and does not say what it removed", e.path)
		}
		// What followed the removed has moved up.
		start, stale = 1, 0
	}
}

// get makes a call that reads.
func (t *Target) get(ctx context.Context, path string) (httpcall.Request, *httpcall.Response, error) {
	r := httpcall.Request{Method: http.MethodGet, URL: path, Header: accept()}
	a, err := t.http.Do(ctx, r)
	return r, a, err
}

// accept returns the headers of every request.
func accept() http.Header {
	return http.Header{"Accept": {"application/scim+json, application/json"}}
}
