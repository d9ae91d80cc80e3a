package oauthtarget

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// DefaultParallel is that of a zero field.
const DefaultParallel = 8

// Config says where clients are registered. The tags are the keys of the
// configuration file.
type Config struct {
	// Name is that of the target; see [purge.Target].
	Name string `yaml:"name"`
	// BaseURL and Hosts are where registration URIs may be: one target serves
	// several authorization servers. One of them is needed.
	BaseURL string   `yaml:"baseUrl"`
	Hosts   []string `yaml:"hosts"`
	// Insecure allows http:// to other machines.
	Insecure bool `yaml:"insecure"`
	// CA, Cert and Key are PEM: whom to trust, and the client's own certificate.
	CA   string `yaml:"ca" config:"secret"`
	Cert string `yaml:"cert" config:"secret"`
	Key  string `yaml:"key" config:"secret"`
	// Headers are sent with every call.
	Headers map[string]string `yaml:"headers" config:"secret"`
	// Timeout bounds each HTTP call; 0 is 30 s. A step makes many of them.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBody is the largest answer in bytes; 0 is 8 MiB.
	MaxBody int64 `yaml:"maxBody"`
	// Clients is the path of a registry, see [OpenRegistry]; "" takes the one of
	// the options. In a file it is a reference, as to the secrets that it holds.
	Clients string `yaml:"clients" config:"path"`
	// Journal is the path of the journal, in the data directory; "" takes the one
	// of the options. No two targets share one.
	Journal string `yaml:"journal"`
	// Parallel is how many clients of one step are dealt with at a time, up to 256;
	// 0 is DefaultParallel.
	Parallel int `yaml:"parallel"`
}

// Options are what does not come from a configuration. The zero value is fine for one
// with Clients and Journal.
type Options struct {
	// Registry is used without Config.Clients.
	Registry Registry
	// Journal is used without Config.Journal. It is not closed.
	Journal Journal
	// Logger is told of what is no error and yet worth knowing; nil is silent.
	Logger *zap.Logger
	// HTTP are the hooks of the client.
	HTTP httpcall.Options
}

// Target is a [purge.Target] and [purge.Checker]. It is safe for concurrent use.
type Target struct {
	cfg      Config
	http     *httpcall.Client
	log      *zap.Logger
	registry Registry
	journal  Journal
	own      *FileJournal    // the journal, if it is to be closed
	turns    *httpcall.Turns // by the client's URI
}

var (
	_ purge.Target  = (*Target)(nil)
	_ purge.Checker = (*Target)(nil)
)

// New returns a target, or [store.Invalid] errors, joined, that name their fields. It
// reads the registry, opens the journal if all else is well, and calls nobody.
func New(cfg Config, opt Options) (*Target, error) {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+": "+format, args...).At(field))
	}
	if err := store.CheckID("name", cfg.Name); err != nil {
		errs = append(errs, err)
	} else if cfg.Name == "store" {
		wrong("name", `"store" is the store's own`)
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = DefaultParallel
	}
	if cfg.Parallel < 1 || cfg.Parallel > 256 {
		wrong("parallel", "%d; want 1 to 256", cfg.Parallel)
	}
	if (cfg.Clients == "") == (opt.Registry == nil) {
		wrong("clients", "want the file of a registry, or the directory")
	}
	if (cfg.Journal == "") == (opt.Journal == nil) {
		wrong("journal", "want the path of a file in the data directory")
	}
	t := &Target{cfg: cfg, registry: opt.Registry, journal: opt.Journal, turns: httpcall.NewTurns(), log: opt.Logger}
	var err error
	if t.http, err = httpcall.New(httpcall.Config{
		BaseURL: cfg.BaseURL, Hosts: cfg.Hosts, Insecure: cfg.Insecure, CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key,
		Header: cfg.Headers, Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Conns: min(max(cfg.Parallel, httpcall.DefaultConns), 256),
	}, opt.HTTP); err != nil {
		errs = append(errs, err)
	}
	if cfg.Clients != "" {
		if t.registry, err = OpenRegistry(cfg.Clients); err != nil {
			errs = append(errs, store.Errorf(store.Invalid, "%w", err).At("clients"))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if cfg.Journal != "" {
		if t.own, err = OpenJournal(cfg.Journal); err != nil {
			return nil, err
		}
		t.journal = t.own
	}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	return t, nil
}

// Close closes the journal and idle connections.
func (t *Target) Close() error {
	err := t.http.Close()
	if t.own != nil {
		err = errors.Join(err, t.own.Close())
	}
	return err
}

// Name implements [purge.Target].
func (t *Target) Name() string { return t.cfg.Name }

// Kinds implements [purge.Target].
func (t *Target) Kinds() []store.Kind { return []store.Kind{store.KindOAuthClient} }

// Count implements [purge.Target]: it looks at every client that the registry lists
// now. A client that a DELETE was sent to, and that is no longer listed, is looked at
// until it is gone; that it is there is a [store.Precondition] error.
func (t *Target) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	clients, err := t.clients(ctx, tenantID, kind)
	if err != nil {
		return 0, err
	}
	n, _, err := t.each(ctx, clients, nil, t.look)
	if err != nil {
		return n, err
	}
	_, _, err = t.each(ctx, t.unlisted(tenantID, clients), nil, t.lookUnlisted)
	return n, err
}

// unlisted returns the clients of a tenant that a DELETE was sent to and that are
// not among those that are listed.
func (t *Target) unlisted(tenantID string, listed []Client) []Client {
	sent := t.journal.Sent(tenantID)
	if len(sent) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, c := range listed {
		known[c.URI] = true
	}
	var list []Client
	for _, e := range sent {
		if !known[e.Of.URI] {
			list = append(list, Client{e.Of.ClientID, e.Of.URI, e.Of.Token})
		}
	}
	return list
}

// Purge implements [purge.Target]. Clients that are gone by the journal are passed
// over; Count looks at them again, and says so in the journal if one is back.
func (t *Target) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	clients, err := t.clients(ctx, r.TenantID, r.Kind)
	if err != nil {
		return purge.Removed{}, err
	}
	var pending []Client
	for _, c := range clients {
		if t.journal.Entry(Key(c.URI)).State != Gone {
			pending = append(pending, c)
		}
	}
	more := len(pending) > r.Limit
	enough := purge.Enough(ctx, time.Now())
	var gone atomic.Int64
	n, left, err := t.each(ctx, pending[:min(r.Limit, len(pending))], enough, func(ctx context.Context, c Client) (bool, error) {
		did, err := t.remove(ctx, r.TenantID, c)
		if !did && err == nil {
			gone.Add(1)
		}
		return did, err
	})
	return purge.Removed{Deleted: n, Gone: gone.Load(), More: more || left || err != nil}, err
}

// clients returns those of a tenant, each once.
func (t *Target) clients(ctx context.Context, tenantID string, kind store.Kind) ([]Client, error) {
	if kind != store.KindOAuthClient {
		return nil, purge.Permanent(store.Errorf(store.Invalid, "target %s holds no %s", t.cfg.Name, kind))
	}
	list, err := t.registry.Clients(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	var clients []Client
	seen := map[string]bool{}
	for _, c := range list {
		if !seen[c.URI] {
			clients = append(clients, c)
		}
		seen[c.URI] = true
	}
	return clients, nil
}

// Check implements [purge.Checker]: the hosts answer. That the tokens are good
// shows when the clients of a tenant are counted.
func (t *Target) Check(ctx context.Context) error {
	hosts := t.cfg.Hosts
	if t.cfg.BaseURL != "" {
		hosts = append([]string{t.cfg.BaseURL}, hosts...)
	}
	for _, host := range hosts {
		u, err := url.Parse(host)
		if err != nil || u.Host == "" {
			u = &url.URL{Scheme: "https", Host: host}
		}
		a, err := t.http.Do(ctx, httpcall.Request{Method: http.MethodGet, URL: u.String()})
		var e *httpcall.Error
		switch {
		case err == nil && a.Status < 500:
		case err == nil:
			return httpcall.StatusError(httpcall.Request{Method: http.MethodGet}, a)
		case errors.As(err, &e) && e.Status >= 300 && e.Status < 400: // to a page for people
		default:
			return err
		}
	}
	return nil
}
