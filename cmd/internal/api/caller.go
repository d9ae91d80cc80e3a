package api

import (
	"context"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// Caller is who makes a request, and what it may do.
type Caller struct {
	Actor store.Actor
	Role  client.Role
	// TenantID is the tenant of a caller with [client.RoleTenant], "" for others.
	TenantID string
}

// callerKey is the key of the caller in the context of a request.
type callerKey struct{}

// callerOf returns who makes the request of ctx; ServeHTTP has put it there.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// may refuses, with [store.Forbidden], a caller without the role that an
// endpoint wants, and a tenant's own caller everything but its own tenant. It is
// asked before the store is, so that a refusal says nothing about what is there.
func (c Caller) may(e endpoint, id string) error {
	switch {
	case c.Role == client.RoleTenant && (e.role != client.RoleTenant || id != "" && id != c.TenantID):
		return store.Errorf(store.Forbidden, "a tenant's own token reads the status of that tenant and nothing else")
	case !c.Role.AtLeast(e.role):
		return store.Errorf(store.Forbidden, "%s %s wants the role %s; %s has %s", e.method, e.url(), e.role, store.Quote(c.Actor.ID), c.roleText())
	}
	return nil
}

// roleText names the role for a message.
func (c Caller) roleText() string {
	if c.Role == "" {
		return "none"
	}
	return string(c.Role)
}
