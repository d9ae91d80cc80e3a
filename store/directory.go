package store

import (
	"context"
	"encoding/json"
	"unicode/utf8"
)

// MaxDataSize is the largest size of a resource's data, in bytes.
const MaxDataSize = 64 << 10

// Resource belongs to a tenant and is removed with it. Its id is unique among
// the resources of the same tenant and kind.
type Resource struct {
	TenantID string
	Kind     Kind
	ID       string
	// Data is a JSON object, kept as it is but for white space; nil is {}.
	Data json.RawMessage
}

// Validate returns an [Invalid] error that names the field at fault, or nil.
// Of Data it checks no more than the size and that it is UTF-8.
func (r *Resource) Validate() error {
	if err := CheckID("tenantId", r.TenantID); err != nil {
		return err
	}
	if _, err := ParseKind(string(r.Kind)); err != nil {
		return err
	}
	if err := CheckID("id", r.ID); err != nil {
		return err
	}
	if len(r.Data) > MaxDataSize {
		return Errorf(Invalid, "data: %d bytes; want at most %d", len(r.Data), MaxDataSize).At("data")
	}
	if !utf8.Valid(r.Data) {
		return Errorf(Invalid, "data: not valid UTF-8").At("data")
	}
	return nil
}

// Directory is implemented by a store that holds resources itself. They are
// removed by [Store.Erase] and [Store.Finish].
type Directory interface {
	// Put adds resources or replaces those with the same tenant, kind and id,
	// all or none. Errors: Invalid; NotFound and Gone for the tenant;
	// Precondition when it is being purged.
	Put(ctx context.Context, resources []Resource) error
	// Remove takes one resource away; removing what is not there succeeds.
	Remove(ctx context.Context, tenantID string, kind Kind, id string) error
	// List returns up to limit resources in the order of their ids, those
	// after the given id. Errors: NotFound and Gone for the tenant.
	List(ctx context.Context, tenantID string, kind Kind, after string, limit int) ([]Resource, error)
	// Count returns the kept counters of the tenant alone; its sub-tenants are
	// counted by number, their resources are not.
	Count(ctx context.Context, tenantID string) (Counts, error)
}
