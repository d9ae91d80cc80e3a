package client

import (
	"encoding/json"

	"github.com/tenantpurge/purger/store"
)

// Tenant is a tenant on the wire. Members that are empty are left out, but for
// id, name, status, enabled and version. DeletedAt, PurgedWith and
// ResourcesDeleted are those of a tombstone, which has neither name nor host name.
//
// Some members say what others do in the words of the APIs whose calls this one
// answers, too: Enabled; Hostnames, Created, LastUpdated and Links.
type Tenant struct {
	ID                  string          `json:"id"`
	ParentID            string          `json:"parentId,omitempty"`
	Name                string          `json:"name"`
	Hostname            string          `json:"hostname,omitempty"`
	Status              store.Status    `json:"status"`
	Enabled             bool            `json:"enabled"` // itself active, whatever is above it
	Version             int64           `json:"version"`
	CreatedAt           store.Timestamp `json:"createdAt,omitzero"`
	UpdatedAt           store.Timestamp `json:"updatedAt,omitzero"`
	DisabledAt          store.Timestamp `json:"disabledAt,omitzero"`
	PurgeAfterDays      int             `json:"purgeAfterDays,omitempty"`
	EstimatedPurgeDate  store.Timestamp `json:"estimatedPurgeDate,omitzero"`
	DisabledBy          *store.Actor    `json:"disabledBy,omitempty"`
	ReactivatedAt       store.Timestamp `json:"reactivatedAt,omitzero"` // while that stands against a source
	Hold                *Hold           `json:"hold,omitempty"`
	ActiveSubscriptions int             `json:"activeSubscriptions,omitempty"`
	Block               *store.Block    `json:"block,omitempty"`
	Purge               *store.Progress `json:"purge,omitempty"`

	DeletedAt        store.Timestamp `json:"deletedAt,omitzero"`
	PurgedWith       string          `json:"purgedWith,omitempty"`
	ResourcesDeleted *store.Counts   `json:"resourcesDeleted,omitempty"`

	Hostnames   []string        `json:"hostnames,omitempty"`
	Created     store.Timestamp `json:"created,omitzero"`
	LastUpdated store.Timestamp `json:"lastUpdated,omitzero"`
	// StatusLastUpdatedAt is zero where it is not known: for one that is active, or
	// that is purged with a tenant above it.
	StatusLastUpdatedAt store.Timestamp `json:"statusLastUpdatedAt,omitzero"`
	Links               *Links          `json:"links,omitempty"`
}

// Links are references to what belongs to an answer.
type Links struct {
	Self Link `json:"self"`
}

// Link is a reference without scheme and host: under which name the API is
// reached from outside is not known to it.
type Link struct {
	Href string `json:"href"`
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
	ID                  string `json:"id,omitempty"` // "": one is made
	ParentID            string `json:"parentId,omitempty"`
	Name                string `json:"name,omitempty"`
	Hostname            string `json:"hostname,omitempty"`
	ActiveSubscriptions int    `json:"activeSubscriptions,omitempty"`
}

// TenantState is the body of PUT /tenants/{id}. What is nil stays as it is.
type TenantState struct {
	// Enabled begins the grace period, of the default length, or cancels it.
	Enabled             bool    `json:"enabled"`
	Version             int64   `json:"version"` // the record's; required
	Name                *string `json:"name,omitempty"`
	Hostname            *string `json:"hostname,omitempty"`
	ActiveSubscriptions *int    `json:"activeSubscriptions,omitempty"`
}

// PatchOperation is a member of the body of PATCH /tenants/{id}, a JSON Patch
// (RFC 6902). Op is "replace"; Path is /name, /hostname, /hostnames/0 or
// /activeSubscriptions.
type PatchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// The orders of GET /tenants.
const (
	SortID   = "id"
	SortDate = "estimatedPurgeDate" // only disabled ones
)

// TenantQuery selects tenants. The zero value selects all, a page at a time.
type TenantQuery struct {
	Status   store.Status // "": any; tombstones are not listed
	Due      bool         // only disabled ones whose own date has come
	ParentID *string      // nil: any; "": roots
	Sort     string       // "": SortID
	Page     string       // the Next of the page before
	Limit    int          // 1 to store.MaxPage; 0: DefaultPage
}

// DefaultPage is the size of a page when the caller does not say.
const DefaultPage = 100

// TenantPage is the answer of GET /tenants.
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

// The kinds of a purge, and how far it is.
const (
	PurgeDeletion = "deletion" // of one tenant, by a person
	PurgePass     = "pass"

	PurgeRunning   = "running"
	PurgeSucceeded = "succeeded"
	PurgeFailed    = "failed"
)

// Purge is the answer of GET /purges/{id}, and of a deletion that takes longer
// than an answer may.
type Purge struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	TenantID   string          `json:"tenantId,omitempty"`
	Status     string          `json:"status"`
	StartedAt  store.Timestamp `json:"startedAt"`
	FinishedAt store.Timestamp `json:"finishedAt,omitzero"`
	// Done is what was removed, and Remaining what is left of what is known to be
	// there; both are of the whole subtree.
	Done      store.Counts `json:"done"`
	Remaining store.Counts `json:"remaining"`
	// Rate is in resources a second. It and ETA, when a running one will have
	// ended, are zero while nothing was removed.
	Rate float64         `json:"rate"`
	ETA  store.Timestamp `json:"eta,omitzero"`
	// Result is a [Deletion] or a [store.Run], by the kind; absent while it runs.
	Result json.RawMessage `json:"result,omitempty"`
	// Error is why it failed.
	Error *Problem `json:"error,omitempty"`
}
