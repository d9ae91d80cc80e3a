package scimtarget

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
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
	endpoints []*endpoint
	provider  provider
	removals  *httpcall.Removals
}

// endpoint is a [Resource], read.
type endpoint struct {
	kind store.Kind
	path string
	attr attribute
	// confirmed says that the attribute is the right one; shown is set once a
	// resource has shown it.
	confirmed bool
	shown     atomic.Bool
}

// New returns a target, or [store.Invalid] errors, joined, that name their fields. It
// calls nobody.
func New(cfg Config, opt Options) (*Target, error) {
	cfg = cfg.withDefaults()
	client, err := httpcall.New(httpcall.Config{
		BaseURL: cfg.BaseURL, Insecure: cfg.Insecure, Auth: cfg.Auth, CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key,
		Header: cfg.Headers, Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Conns: min(max(cfg.Parallel, httpcall.DefaultConns), 256),
	}, opt.HTTP)
	if err = errors.Join(cfg.validate(), err); err != nil {
		return nil, err
	}
	t := &Target{cfg: cfg, http: client, log: opt.Logger, provider: newProvider(), removals: httpcall.NewRemovals()}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	for _, r := range cfg.Resources {
		attr, err := parseAttribute(r.Attribute)
		if err != nil {
			return nil, err
		}
		t.endpoints = append(t.endpoints, &endpoint{kind: r.Kind, path: r.Endpoint, attr: attr, confirmed: r.AttributeConfirmed})
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
		if t.holds(k) == nil {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// holds refuses a kind that is not configured: that nothing was asked for it is no
// proof that there is nothing.
func (t *Target) holds(kind store.Kind) error {
	if slices.ContainsFunc(t.endpoints, func(e *endpoint) bool { return e.kind == kind }) {
		return nil
	}
	return purge.Permanent(store.Errorf(store.Invalid, "target %s holds no %s", t.cfg.Name, kind))
}

// Count implements [purge.Target].
func (t *Target) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	if err := t.holds(kind); err != nil {
		return 0, err
	}
	v, err := t.visit(ctx)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range t.endpoints {
		if e.kind == kind {
			n, err := t.count(ctx, v, e, tenantID)
			if err == nil && n == 0 {
				err = t.prove(ctx, v, e)
			}
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
	if err := t.holds(r.Kind); err != nil {
		return did, err
	}
	v, err := t.visit(ctx)
	if err != nil {
		return did, err
	}
	for _, e := range t.endpoints {
		if e.kind != r.Kind {
			continue
		}
		more, err := t.drain(ctx, v, e, r.TenantID, int64(r.Limit)-did.Deleted, &did)
		if did.More = more; more || err != nil {
			return did, err
		}
	}
	return did, nil
}

// drain removes up to limit resources of a tenant from one endpoint, adds them to
// did, and reports whether there may be more: always, when it removed as many as
// that.
func (t *Target) drain(ctx context.Context, v *visit, e *endpoint, tenantID string, limit int64, did *purge.Removed) (more bool, err error) {
	enough := purge.Enough(ctx, time.Now())
	s := &step{Step: t.removals.Begin(tenantID, e.path)}
	defer func() {
		s.End(err == nil && !more)
		did.Deleted, did.Gone, did.Inexact = did.Deleted+s.deleted, did.Gone+s.gone, did.Inexact || s.Again()
	}()
	limit = min(limit, httpcall.MaxStep)
	var last []item
	for start := 1; ; {
		page, err := t.list(ctx, v, e, tenantID, start)
		if err != nil {
			return true, err
		}
		var items []item
		for _, it := range page.ours {
			if int64(len(items)) < limit-s.deleted && !s.Settled(it.id) {
				items = append(items, it)
			}
		}
		if len(items) == 0 {
			// Nothing was removed since the page before this one, if any: what
			// comes next is still there.
			if start += page.size; start <= page.total && !s.Full() {
				continue
			}
			if s.Listed() == 0 {
				return false, t.prove(ctx, v, e)
			}
			if err := s.Wait(ctx); err != nil {
				return true, store.Errorf(store.CodeOf(err), "%s: %w", e.path, err)
			}
			start = 1
			continue
		}
		if slices.Equal(items, last) {
			return true, store.Errorf(store.Unavailable, "%s: the server answers and does not say what it removed", e.path)
		}
		last = items
		err = t.remove(ctx, v.capabilities, e, tenantID, items, s)
		if err != nil || s.deleted >= limit || s.deleted > 0 && enough(s.deleted) {
			return true, err
		}
		// What followed the removed has moved up.
		start = 1
	}
}

// get returns a request that reads.
func get(path string) httpcall.Request {
	return httpcall.Request{Method: http.MethodGet, URL: path, Header: accept()}
}

// getOf reads one resource.
func (t *Target) getOf(ctx context.Context, e *endpoint, id, path string) (httpcall.Request, *httpcall.Response, error) {
	r := get(path)
	r.Shown, r.Of = e.path+"/{id}", id
	a, err := t.http.Do(ctx, r)
	return r, a, err
}

// accept returns the headers of every request.
func accept() http.Header {
	return http.Header{"Accept": {"application/scim+json, application/json"}}
}
