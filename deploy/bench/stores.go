package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/ndjson"
)

// account is the data of one resource.
const account = `{"email":"jo.martin@example.com"}`

// forestOf returns trees of 6 tenants, with 50 users, 20 credentials, 10 API
// keys and 5 OAuth clients each.
func forestOf(roots int64) *lines {
	return &lines{prefix: "root", roots: roots, subs: 5, resources: [4]int64{5, 10, 20, 50}, due: true, data: account}
}

// giantOf returns one tenant with many users, of about half a KiB each.
func giantOf(users int64) *lines {
	data := fmt.Sprintf(`{"email":"jo.martin@example.com","about":%q}`, strings.Repeat("all work and no play ", 20))
	return &lines{prefix: "giant", roots: 1, resources: [4]int64{3: users}, due: true, data: data}
}

// tenantsOf returns trees of 6 tenants that have nothing but what external
// systems hold of them.
func tenantsOf(roots int64) *lines { return &lines{prefix: "tree", roots: roots, subs: 5, due: true} }

// keptOf returns n tenants of which none is due.
func keptOf(n int64) *lines { return &lines{prefix: "kept", roots: n / 10, subs: 9} }

// store returns the directory of a store that holds what lines say, and nothing
// has open. It is made once.
func (b *bench) store(ctx context.Context, name string, l *lines) (string, error) {
	if dir, ok := b.made[name]; ok {
		return dir, nil
	}
	dir := filepath.Join(b.dir, name)
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		return "", err
	}
	if err := errors.Join(b.fill(ctx, s, l), s.Close()); err != nil {
		return "", err
	}
	b.made[name] = dir
	return dir, nil
}

// fill imports lines.
func (b *bench) fill(ctx context.Context, s *boltstore.Store, l *lines) error {
	sum, err := ndjson.Import(ctx, ndjson.ImportOptions{Store: s, Input: l, TempDir: b.dir, Actor: store.Actor{ID: "bench"}})
	if err == nil && sum.Lines != l.all() {
		err = fmt.Errorf("imported %d lines of %d", sum.Lines, l.all())
	}
	return err
}

// fresh copies the store in a directory into another one, in the page cache or
// out of it.
func (b *bench) fresh(from string, cached bool) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "copy-")
	if err != nil {
		return "", err
	}
	return dir, copyFile(filepath.Join(from, boltstore.FileName), filepath.Join(dir, boltstore.FileName), cached)
}

// with runs fn with a fresh copy of a store, which is removed afterwards.
func (b *bench) with(ctx context.Context, from string, cached bool, fn func(*boltstore.Store) error) error {
	dir, err := b.fresh(from, cached)
	if err != nil {
		return err
	}
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err == nil {
		err = errors.Join(fn(s), s.Close())
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// engine returns an engine as the daemon has it, but without limits.
func engine(s store.Store, guards ...guard) (*purge.Engine, error) {
	settings := purge.DefaultSettings()
	settings.PerPass, settings.Limits = 0, store.Limits{}
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	targets := make([]purge.Target, 0, len(guards))
	for _, g := range guards {
		guarded, err := purge.Guarded(g.target, g.policy, purge.GuardOptions{Observer: m})
		if err != nil {
			return nil, err
		}
		targets = append(targets, guarded)
	}
	return purge.New(purge.Options{Store: s, Targets: targets, Metrics: m, Settings: settings})
}

// guard is an external system and the policy that it is called by.
type guard struct {
	target purge.Target
	policy purge.Policy
}

// pass purges everything that is due, and returns an error unless that are
// want resources.
func pass(ctx context.Context, s store.Store, want int64, guards ...guard) error {
	e, err := engine(s, guards...)
	if err != nil {
		return err
	}
	r, err := e.Run(ctx, purge.TriggerRun)
	if err != nil {
		return err
	}
	if got := r.Totals.Resources(); got != want || r.Result != purge.ResultOK {
		return fmt.Errorf("the pass ended %q after %d resources; want %d", r.Result, got, want)
	}
	return nil
}
