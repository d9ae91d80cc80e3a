package resttarget

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// Options are what a target is given beside its configuration.
type Options struct {
	// Logger is told of resources that an API listed and that belong to another
	// tenant; nil logs nothing.
	Logger *zap.Logger
	// HTTP has hooks of the HTTP client.
	HTTP httpcall.Options
}

// Target is a REST API. It is a [purge.Target], [purge.SubscriptionCounter],
// [purge.Checker], [purge.Doctor] and [purge.Closer]. It is safe for concurrent use.
type Target struct {
	cfg      Config
	client   *httpcall.Client
	kinds    map[store.Kind]*kind
	subs     *kind // that counts subscriptions; nil for none
	parallel int
	turns    *httpcall.Turns // by tenant, of deletes that are repeated
	removals *httpcall.Removals
	seed     maphash.Seed
	log      *zap.Logger
}

var (
	_ purge.Target  = (*Target)(nil)
	_ purge.Checker = (*Target)(nil)
	_ purge.Doctor  = (*Target)(nil)
	_ purge.Closer  = (*Target)(nil)
)

// New returns a target, or [store.Invalid] errors, joined, that name their fields. Of
// each call there is the first one. It calls nobody.
func New(cfg Config, opt Options) (*Target, error) {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+format, args...).At(field))
	}
	if err := store.CheckID("name", cfg.Name); err != nil {
		errs = append(errs, err)
	} else if cfg.Name == "store" {
		wrong("name", " %q: that is the embedded one", cfg.Name)
	}
	t := &Target{cfg: cfg, kinds: map[store.Kind]*kind{}, parallel: cfg.Parallel, turns: httpcall.NewTurns(), removals: httpcall.NewRemovals(), seed: maphash.MakeSeed(), log: opt.Logger}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	if t.parallel == 0 {
		t.parallel = DefaultParallel
	}
	if t.parallel < 1 || t.parallel > 256 {
		wrong("parallel", " %d: want 1 to 256", cfg.Parallel)
	}
	if len(cfg.Kinds) == 0 && cfg.Subscriptions == nil {
		wrong("kinds", ": missing; want one of oauthClient, apiKey, credential and user at least, or subscriptions")
	}
	errs = append(errs, t.compile()...)
	var err error
	t.client, err = httpcall.New(httpcall.Config{
		BaseURL: cfg.BaseURL, Hosts: cfg.Hosts, Insecure: cfg.Insecure, Auth: cfg.Auth,
		CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key, Header: cfg.Headers,
		Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Conns: min(max(2*t.parallel, httpcall.DefaultConns), 512),
	}, opt.HTTP)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return t, t.reachable()
}

// compile checks the kinds, in the order of removal, and the subscriptions.
func (t *Target) compile() []error {
	var errs []error
	for _, name := range store.Kinds() {
		if k, ok := t.cfg.Kinds[name]; ok {
			compiled, err := k.compile("kinds."+string(name), t.cfg.Secrets)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			t.kinds[name] = compiled
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.cfg.Kinds)) {
		if _, err := store.ParseKind(string(name)); err != nil {
			at := "kinds." + string(name)
			errs = append(errs, store.Errorf(store.Invalid, "%s: %w", at, err).At(at))
		}
	}
	if t.cfg.Subscriptions != nil {
		subs, err := t.cfg.Subscriptions.compile("subscriptions", t.cfg.Secrets)
		if err != nil {
			errs = append(errs, err)
		}
		t.subs = subs
	}
	return errs
}

// reachable checks that every URL of the configuration may be called.
func (t *Target) reachable() error {
	var errs []error
	for _, p := range t.sections() {
		errs = append(errs, t.reachableBy(p.at, p.kind))
	}
	return errors.Join(errs...)
}

// section is what is configured at a path.
type section struct {
	at   string
	kind *kind
}

// sections returns the kinds, in the order of removal, and the subscriptions.
func (t *Target) sections() []section {
	var list []section
	for _, k := range t.Kinds() {
		list = append(list, section{"kinds." + string(k), t.kinds[k]})
	}
	if t.subs != nil {
		list = append(list, section{"subscriptions", t.subs})
	}
	return list
}

// reachableBy checks the URLs of one kind; at is its path.
func (t *Target) reachableBy(at string, k *kind) error {
	type called struct {
		as string
		op *operation
	}
	var ops []called
	if k.list != nil {
		ops = append(ops, called{"list", k.list.op})
	}
	if k.count != nil {
		ops = append(ops, called{"count", k.count.op})
	}
	if k.del != nil {
		ops = append(ops, called{"delete", k.del.op})
	}
	if k.purge != nil {
		ops = append(ops, called{"purge", k.purge.op})
	}
	for _, c := range ops {
		u, err := c.op.url.fill(samples)
		if err == nil {
			err = t.client.Allowed(httpcall.Request{URL: u, Shown: c.op.shown})
		}
		if err != nil {
			at := at + "." + c.as + ".url"
			return store.Errorf(store.Invalid, "%s: %w", at, err).At(at)
		}
	}
	return nil
}

// Name implements [purge.Target].
func (t *Target) Name() string { return t.cfg.Name }

// Kinds implements [purge.Target].
func (t *Target) Kinds() []store.Kind {
	var kinds []store.Kind
	for _, k := range store.Kinds() {
		if t.kinds[k] != nil {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Close implements [purge.Closer].
func (t *Target) Close() error { return t.client.Close() }

// kind returns what is configured for a kind.
func (t *Target) kind(k store.Kind) (*kind, error) {
	if c := t.kinds[k]; c != nil {
		return c, nil
	}
	return nil, purge.Permanent(store.Errorf(store.Invalid, "target %s holds no %s", t.cfg.Name, k))
}

// Count implements [purge.Target].
func (t *Target) Count(ctx context.Context, tenantID string, k store.Kind) (int64, error) {
	c, err := t.kind(k)
	if err != nil {
		return 0, err
	}
	if err := t.prove(ctx, c); err != nil {
		return 0, err
	}
	return t.countBy(ctx, c, tenantID, string(k))
}

// countBy asks for a number, or for as many pages as there are; what names it for
// the log.
func (t *Target) countBy(ctx context.Context, c *kind, tenantID, what string) (int64, error) {
	if c.count != nil {
		return t.ask(ctx, c.count, tenantID)
	}
	return t.countListed(ctx, c.list, tenantID, what)
}

// noteSkipped logs that an API that was asked about one tenant answered about
// others as well.
func (t *Target) noteSkipped(w *walk, kind string) {
	if w.skipped > 0 && w.l.filtered {
		t.log.Warn("the API listed resources of other tenants, which are left alone", zap.String("target", t.cfg.Name),
			zap.String("kind", kind), zap.String("tenant", w.tenant), zap.Int64("skipped", w.skipped))
	}
}

// ask asks an endpoint that counts.
func (t *Target) ask(ctx context.Context, c *count, tenantID string) (int64, error) {
	r, err := c.op.request(vars{varTenant: tenantID})
	if err != nil {
		return 0, err
	}
	a, err := t.client.Do(ctx, r)
	if err != nil {
		return 0, err
	}
	body, err := found(r, a, c.NotFoundIsEmpty)
	if err != nil || body == nil {
		return 0, err
	}
	if c.FromHeader != "" {
		n, err := strconv.ParseInt(strings.TrimSpace(a.Header.Get(c.FromHeader)), 10, 64)
		if err != nil || n < 0 {
			return 0, httpcall.Unusable(r, a, "no number in the header %s", c.FromHeader)
		}
		return n, nil
	}
	return number(r, a, body, c.Value)
}

// number returns the count at a path of an answer. Some APIs put numbers into
// strings.
func number(r httpcall.Request, a *httpcall.Response, body []byte, path string) (int64, error) {
	v := gjson.ParseBytes(body)
	if path != "" {
		v = v.Get(path)
	}
	text, _ := scalar(v)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, httpcall.Unusable(r, a, "no number of resources at %q", path)
	}
	return n, nil
}
