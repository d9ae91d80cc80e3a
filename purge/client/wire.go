package client

import (
	"github.com/tenantpurge/purger/store"
)

// Prefix is where the API begins in the URL.
const Prefix = "/api/v1"

// PrefixAccounts is where those calls are, too, that have their form from the API
// of an account management with this prefix: GET, PUT and DELETE of a tenant.
const PrefixAccounts = "/api/2"

// Header fields of requests.
const (
	// HeaderConfirm and HeaderQlikConfirm repeat the tenant's host name, for a call
	// that changes who is served.
	HeaderConfirm     = "X-Confirm-Hostname"
	HeaderQlikConfirm = "Qlik-Confirm-Hostname"
	// HeaderTenant is the id of the tenant that the caller believes to be about.
	HeaderTenant = "X-Tenantid"
)

// SocketName is the name of the daemon's Unix socket in its data directory.
const SocketName = "purger.sock"

// The content types of requests and answers.
const (
	ContentJSON   = "application/json"
	ContentNDJSON = "application/x-ndjson"
)

// The trailers with which a streamed answer ends: one of them is always sent.
const (
	TrailerSummary = "Purger-Summary"
	TrailerError   = "Purger-Error"
)

// RunPage is the answer of GET /purges, the newest pass first.
type RunPage struct {
	Data []store.Run `json:"data"` // never null
}

// Accepted is the answer of POST /purges without waiting.
type Accepted struct {
	Status string `json:"status"` // "accepted"
}

// AuditPage is the answer of GET /audit.
type AuditPage struct {
	Data []store.Entry `json:"data"` // never null
	// Next is the sequence number to go on from; 0 when there is no more.
	Next uint64 `json:"next"`
}

// PauseRequest is the body of POST /pause.
type PauseRequest struct {
	Reason string          `json:"reason"`
	Until  store.Timestamp `json:"until,omitzero"` // zero: no end
}

// ResumeRequest is the body of POST /resume, which may be absent.
type ResumeRequest struct {
	Reason string `json:"reason,omitempty"` // required to lift a halt
	// Allow is how many tenants may pass beyond the limits.
	Allow int64 `json:"allow,omitempty"`
}
