package oauthtarget

import (
	"context"
	"encoding/json"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// directory is a registry in the data of resources.
type directory struct{ store.Directory }

// FromDirectory returns the registry in the data of the resources of kind
// [store.KindOAuthClient], of the form that the package says. Its errors are
// [store.Precondition] for data of another form, and those of d.
func FromDirectory(d store.Directory) Registry { return directory{d} }

// atOnce is how many resources are read at a time.
const atOnce = 1000

// Clients implements [Registry]. The error of one resource is that of the tenant.
func (d directory) Clients(ctx context.Context, tenantID string) ([]Client, error) {
	var clients []Client
	for after := ""; ; {
		list, err := d.List(ctx, tenantID, store.KindOAuthClient, after, atOnce)
		if code := store.CodeOf(err); code == store.NotFound || code == store.Gone {
			return clients, nil
		}
		if err != nil {
			return nil, err
		}
		for _, resource := range list {
			r := registered{}
			if len(resource.Data) > 0 && json.Unmarshal(resource.Data, &r) != nil {
				return nil, store.Errorf(store.Precondition, "the data of client %s is not that of a registration", httpcall.Hashed(resource.ID))
			}
			if r.URI == "" {
				continue
			}
			if r.ID == "" {
				r.ID = resource.ID
			}
			c, err := r.client()
			if err != nil {
				return nil, store.Errorf(store.Precondition, "the data of client %s: %w", httpcall.Hashed(resource.ID), err)
			}
			clients = append(clients, c)
		}
		if len(list) < atOnce {
			return clients, nil
		}
		after = list[len(list)-1].ID
	}
}
