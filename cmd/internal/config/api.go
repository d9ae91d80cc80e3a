package config

import (
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// API is about who may call, and what callers may do.
type API struct {
	// ImmediateDelete says which tenants may be deleted before their date:
	// never, disabled or any.
	ImmediateDelete string
	// ConfirmHostname says whether a call that deactivates, reactivates or
	// deletes a tenant has to repeat its host name: required or optional.
	ConfirmHostname string
	// SyncTimeout is how long the answer to a deletion may take, before it says
	// where to ask instead.
	SyncTimeout time.Duration
	Auth        Auth
	Socket      Socket
	Limits      APILimits
	Gate        Gate
	Approvals   Approvals
}

// Auth is about bearer tokens on TCP. Without an Issuer none is accepted.
type Auth struct {
	Issuer   string // of the tokens; "" or an https URL
	Audience string // that tokens must be for
	// KeysFile holds the issuer's public keys, as a JWK set or in PEM, absolute
	// once it was loaded. "" asks the issuer (OpenID Connect Discovery).
	KeysFile string
	// RolesClaim is the claim with the roles; a dot leads into an object.
	RolesClaim string
	// Roles says which role a value of the claim stands for; the names of roles
	// stand for themselves.
	Roles map[string]client.Role
	// TenantClaim is the claim with the id of the caller's own tenant.
	TenantClaim string
	// RequireNotBefore refuses a token without the claim nbf.
	RequireNotBefore bool
	// ClockSkew is how far the clock of the issuer may be off.
	ClockSkew time.Duration
}

// Socket is about callers on the Unix socket.
type Socket struct {
	// Roles says what a user may do: user:NAME, uid:N, group:NAME, gid:N or *.
	Roles map[string]client.Role
}

// APILimits protect the API from its callers.
type APILimits struct {
	Concurrency int // requests at a time; half of them of one caller
	PerSubject  int // requests a second of one caller; 0 is no bound
	Burst       int // what one caller may ask for at once
}

// Gate is about the calls of gateways that ask whether a tenant may be served.
type Gate struct {
	Unknown   string // what a tenant is that is not known: allow or deny
	Anonymous string // who may ask without a token: loopback, always or never
}

// Approvals says how many people some calls take, 1 or 2.
type Approvals struct {
	Delete, Resume int
	Expire         time.Duration // of the first one's call
}

// defaultAPI returns the API of an empty file.
func defaultAPI() API {
	return API{
		ImmediateDelete: "disabled",
		ConfirmHostname: "required",
		SyncTimeout:     30 * time.Second,
		Auth:            Auth{RolesClaim: "roles", TenantClaim: "tenant_id", RequireNotBefore: true, ClockSkew: 30 * time.Second},
		Socket:          Socket{Roles: map[string]client.Role{"*": client.RoleSuperAdmin}},
		Limits:          APILimits{Concurrency: 256, PerSubject: 50, Burst: 100},
		Gate:            Gate{Unknown: "deny", Anonymous: "loopback"},
		Approvals:       Approvals{Delete: 1, Resume: 1, Expire: 24 * time.Hour},
	}
}
