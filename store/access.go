package store

import "context"

// Access is the answer to "may this tenant be served?". The zero value is the
// answer for a tenant that is not known; what follows from that is for the
// caller to decide.
type Access struct {
	Known bool
	// Allowed says that the tenant and every ancestor of it are active.
	Allowed bool
	// Status is the one that decides: [StatusActive] for a tenant that may be
	// served, else that of By; "" when there is none.
	Status Status
	// By is the id of the tenant whose status decides: the one that was asked
	// about, or else the nearest ancestor that is not active. It is "" for the host
	// name of a purged tenant.
	By string
}

// Gatekeeper is implemented by a store that can answer from memory whether a
// tenant may be served, for a gateway that asks with every request. It is safe
// for concurrent use.
//
// No answer is older than the last change that was acknowledged, and none tells
// of a change that is not durable. While a change waits for its acknowledgement
// an answer may be the one before or after it.
//
// A purged tenant keeps being told as [StatusDeleted], and so does its host name,
// though nobody can read that any more, until a tenant that is not purged has it.
type Gatekeeper interface {
	// LoadAccess reads all tenants into memory and keeps them up to date from
	// then on. Changes and reads go on meanwhile. Once it has succeeded, calling
	// it again does nothing; after an error it begins anew.
	LoadAccess(ctx context.Context) error
	// Access answers for a tenant id. Its cost grows with the depth of the
	// tenant, not with the size of its tree. Errors: Unavailable before
	// LoadAccess has succeeded, and after the store failed or was closed.
	Access(id string) (Access, error)
	// AccessByHost answers for the tenant whose host name is host. Case does not
	// matter, nor does a dot at the end; a port is part of no host name. Nothing
	// keeps tenants from having the same host name: then it is allowed when
	// all of them are, and By is one that is not. A name that so many share
	// that looking at them all would take long is not allowed either; its Status
	// is "". Errors: those of Access.
	AccessByHost(host string) (Access, error)
}
