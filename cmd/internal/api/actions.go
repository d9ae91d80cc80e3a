package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// update changes the tenant of a request, if the host name that the request
// repeats is that of the record that is changed. version, when not 0, must be the
// record's. before is the record as it was.
func (s *server) update(r *request, version int64, conf confirmation, c store.Change) (before, after store.Tenant, err error) {
	apply := c.Apply
	c.Apply = func(t, above *store.Tenant, o store.Origin) error {
		before = *t
		if err := conf.check(t); err != nil {
			return err
		}
		return apply(t, above, o)
	}
	after, err = s.Store.Update(r.Context(), r.id, store.Update{Origin: r.origin(), Version: version, Change: c})
	return before, after, err
}

// isProtected reports whether the configuration protects a tenant.
func isProtected(set purge.Settings) func(id string) bool {
	return func(id string) bool { return slices.Contains(set.Protected, id) }
}

// deactivate answers the action deactivate.
func (s *server) deactivate(w http.ResponseWriter, r *request) error {
	var in client.DeactivateRequest
	if err := readBody(w, r, members{"purgeAfterDays": &in.PurgeAfterDays}); err != nil {
		return err
	}
	set := s.Engine.Settings()
	days := 0
	if in.PurgeAfterDays != nil {
		days = *in.PurgeAfterDays
		if bounds := store.DefaultGrace(); days == 0 { // which would mean the default, as only absence does here
			return store.Errorf(store.Invalid, "purgeAfterDays 0: want %d to %d, or nothing for the default",
				cmp.Or(set.Grace.Min, bounds.Min), cmp.Or(set.Grace.Max, bounds.Max)).At("purgeAfterDays")
		}
	}
	before, t, err := s.update(r, 0, s.confirmed(r), store.Deactivate(days, set.Grace, isProtected(set)))
	if err != nil {
		return err
	}
	if t.Version != before.Version {
		s.Metrics.Deactivated()
	}
	return reply(w, http.StatusOK, client.Deactivated{
		ID: t.ID, Status: t.Status, EstimatedPurgeDate: store.Timestamp{Time: t.EstimatedPurgeDate},
	})
}

// reactivate answers the action reactivate.
func (s *server) reactivate(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	before, t, err := s.update(r, 0, s.confirmed(r), store.Reactivate())
	if err != nil {
		return err
	}
	if t.Version != before.Version {
		s.Metrics.Reactivated()
	}
	return reply(w, http.StatusOK, client.Reactivated{ID: t.ID, Status: t.Status})
}

// retry answers the action retry.
func (s *server) retry(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	_, t, err := s.update(r, 0, confirmationOf(r), store.Retry())
	if err != nil {
		return err
	}
	s.wake()
	return reply(w, http.StatusOK, wireTenant(t))
}

// hold answers POST /tenants/{id}/hold.
func (s *server) hold(w http.ResponseWriter, r *request) error {
	var in client.HoldRequest
	if err := readBody(w, r, members{"reason": &in.Reason, "until": &in.Until}); err != nil {
		return err
	}
	if in.Reason == "" {
		return store.Errorf(store.Invalid, "reason: want a text that says why").At("reason")
	}
	if err := store.CheckText("reason", in.Reason, store.MaxNameLength); err != nil {
		return err
	}
	_, t, err := s.update(r, 0, confirmationOf(r), store.SetHold(in.Reason, in.Until.Time))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wireTenant(t))
}

// release answers DELETE /tenants/{id}/hold.
func (s *server) release(w http.ResponseWriter, r *request) error {
	_, t, err := s.update(r, 0, confirmationOf(r), store.Release())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wireTenant(t))
}
