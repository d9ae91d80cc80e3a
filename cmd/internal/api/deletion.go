package api

import (
	"math"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// deleteTenant answers DELETE /admin/tenants/{id}.
func (s *server) deleteTenant(w http.ResponseWriter, r *request) error {
	version, err := r.query.number("version", 1, math.MaxInt64, 0)
	if err != nil {
		return err
	}
	// Read before: afterwards nothing knows the name any more. What the policy
	// forbids is refused by the engine, whether or not the tenant is there.
	t, err := s.Store.Tenant(r.Context(), r.id)
	if err != nil && s.Engine.Settings().ImmediateDelete != purge.DeleteNever {
		return err
	}
	receipt, err := s.Engine.Delete(r.Context(), purge.Deletion{ID: r.id, Version: version, Actor: r.caller.Actor})
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.Deletion{
		Success: true,
		Message: "Tenant deleted successfully",
		Data: client.DeletedTenant{
			ID: r.id, Name: t.Name, Status: store.StatusDeleted, DeletedAt: receipt.DeletedAt,
			DeletedBy:        client.DeletedBy{ID: r.caller.Actor.ID, Name: r.caller.Actor.Name, Email: r.caller.Actor.Email},
			ResourcesDeleted: receipt.Deleted,
		},
		Timestamp: store.Timestamp{Time: time.Now()},
	})
}
