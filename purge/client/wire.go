package client

import (
	"github.com/tenantpurge/purger/store"
)

// Prefix is where the API begins in the URL.
const Prefix = "/api/v1"

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

// Tenant is a tenant on the wire. Members that are empty are left out, but for
// id, status and version. DeletedAt, PurgedWith and ResourcesDeleted are those
// of a tombstone, which has neither name nor host name.
type Tenant struct {
	ID                  string          `json:"id"`
	ParentID            string          `json:"parentId,omitempty"`
	Name                string          `json:"name,omitempty"`
	Hostname            string          `json:"hostname,omitempty"`
	Status              store.Status    `json:"status"`
	Version             int64           `json:"version"`
	CreatedAt           store.Timestamp `json:"createdAt,omitzero"`
	UpdatedAt           store.Timestamp `json:"updatedAt,omitzero"`
	DisabledAt          store.Timestamp `json:"disabledAt,omitzero"`
	PurgeAfterDays      int             `json:"purgeAfterDays,omitempty"`
	EstimatedPurgeDate  store.Timestamp `json:"estimatedPurgeDate,omitzero"`
	DisabledBy          *store.Actor    `json:"disabledBy,omitempty"`
	Hold                *Hold           `json:"hold,omitempty"`
	ActiveSubscriptions int             `json:"activeSubscriptions,omitempty"`
	Block               *store.Block    `json:"block,omitempty"`
	Purge               *store.Progress `json:"purge,omitempty"`

	DeletedAt        store.Timestamp `json:"deletedAt,omitzero"`
	PurgedWith       string          `json:"purgedWith,omitempty"`
	ResourcesDeleted *store.Counts   `json:"resourcesDeleted,omitempty"`
}

// Hold is a hold on the wire.
type Hold struct {
	Reason string          `json:"reason"`
	Actor  store.Actor     `json:"actor,omitzero"`
	Since  store.Timestamp `json:"since,omitzero"`
	Until  store.Timestamp `json:"until,omitzero"`
}

// NewTenant is the body of POST /tenants.
type NewTenant struct {
	ID                  string `json:"id"`
	ParentID            string `json:"parentId,omitempty"`
	Name                string `json:"name,omitempty"`
	Hostname            string `json:"hostname,omitempty"`
	ActiveSubscriptions int    `json:"activeSubscriptions,omitempty"`
}

// TenantQuery selects tenants. The zero value selects all, a page at a time.
type TenantQuery struct {
	Status   store.Status // "": any; tombstones are not listed
	Due      bool         // only disabled ones whose own date has come
	ParentID *string      // nil: any; "": roots
	After    string       // the Next of the page before
	Limit    int          // 1 to store.MaxPage; 0: DefaultPage
}

// DefaultPage is the size of a page when the caller does not say.
const DefaultPage = 100

// TenantPage is the answer of GET /tenants, in the order of the ids.
type TenantPage struct {
	Data []Tenant `json:"data"` // never null
	Next string   `json:"next"` // "": this is the last page
}

// DeactivateRequest is the body of the action deactivate, which may be absent.
type DeactivateRequest struct {
	// PurgeAfterDays is nil for the configured default.
	PurgeAfterDays *int `json:"purgeAfterDays,omitempty"`
}

// Deactivated is the answer of the action deactivate.
type Deactivated struct {
	ID                 string          `json:"id"`
	Status             store.Status    `json:"status"`
	EstimatedPurgeDate store.Timestamp `json:"estimatedPurgeDate"`
}

// Reactivated is the answer of the action reactivate.
type Reactivated struct {
	ID     string       `json:"id"`
	Status store.Status `json:"status"`
}

// HoldRequest is the body of POST /tenants/{id}/hold.
type HoldRequest struct {
	Reason string          `json:"reason"`
	Until  store.Timestamp `json:"until,omitzero"` // zero: no end
}

// Deletion is the answer of DELETE /admin/tenants/{id}.
type Deletion struct {
	Success   bool            `json:"success"`
	Message   string          `json:"message"`
	Data      DeletedTenant   `json:"data"`
	Timestamp store.Timestamp `json:"timestamp"`
}

// DeletedTenant tells what a deletion removed. Counts are those of the whole
// subtree.
type DeletedTenant struct {
	ID               string          `json:"id"`
	Name             string          `json:"name"`
	Status           store.Status    `json:"status"`
	DeletedAt        store.Timestamp `json:"deletedAt"`
	DeletedBy        DeletedBy       `json:"deletedBy"`
	ResourcesDeleted store.Counts    `json:"resourcesDeleted"`
}

// DeletedBy is the actor of a deletion, all of its members present.
type DeletedBy struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

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
