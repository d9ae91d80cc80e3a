package main

import (
	"context"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// unmade stands for a target that could not be made: it says why to whoever asks,
// and whatever is asked, so that nothing is purged as if it were not there (G6).
type unmade struct {
	name string
	why  error
}

// Name implements purge.Target.
func (u unmade) Name() string { return u.name }

// Kinds implements purge.Target.
func (unmade) Kinds() []store.Kind { return store.Kinds() }

// Count implements purge.Target.
func (u unmade) Count(context.Context, string, store.Kind) (int64, error) { return 0, u.error() }

// Purge implements purge.Target.
func (u unmade) Purge(context.Context, purge.Request) (purge.Removed, error) {
	return purge.Removed{}, u.error()
}

// Check implements purge.Checker.
func (u unmade) Check(context.Context) error { return u.error() }

// Diagnose implements purge.Doctor.
func (u unmade) Diagnose(context.Context) ([]purge.Finding, error) { return nil, u.error() }

// Init implements purge.Initializer.
func (u unmade) Init(context.Context) error { return u.error() }

// error has a code of its own, since to try again at once is of no use.
func (u unmade) error() error {
	return store.Errorf(store.Precondition, "target %s cannot be used by this command: %w", u.name, u.why)
}

// unmadeSource stands for a source that could not be made.
type unmadeSource struct{ why error }

// Name implements purge.Source.
func (unmadeSource) Name() string { return "source" }

// Tenants implements purge.Source.
func (u unmadeSource) Tenants(context.Context, func(purge.SourceRow) error) error { return u.error() }

// Tenant implements purge.Source.
func (u unmadeSource) Tenant(context.Context, string) (purge.SourceTenant, error) {
	return purge.SourceTenant{}, u.error()
}

// Check implements purge.Checker.
func (u unmadeSource) Check(context.Context) error { return u.error() }

func (u unmadeSource) error() error {
	return store.Errorf(store.Unavailable, "the source cannot be used by this command: %w", u.why)
}
