package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/tenantpurge/purger/store"
)

// update changes the tenant of a request. changed says whether the record is
// another one than before.
func (s *server) update(r *request, c store.Change) (after store.Tenant, changed bool, err error) {
	var before int64
	apply := c.Apply
	c.Apply = func(t, above *store.Tenant, o store.Origin) error {
		before = t.Version
		return apply(t, above, o)
	}
	after, err = s.Store.Update(r.Context(), r.id, store.Update{Origin: r.origin(), Change: c})
	return after, err == nil && after.Version != before, err
}

// deactivate answers the action deactivate.
func (s *server) deactivate(w http.ResponseWriter, r *request) error {
	var in DeactivateRequest
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
	t, changed, err := s.update(r, store.Deactivate(days, set.Grace, func(id string) bool {
		return slices.Contains(set.Protected, id)
	}))
	if err != nil {
		return err
	}
	if changed {
		s.Metrics.Deactivated()
	}
	return reply(w, http.StatusOK, Deactivated{
		ID: t.ID, Status: t.Status, EstimatedPurgeDate: store.Timestamp{Time: t.EstimatedPurgeDate},
	})
}

// reactivate answers the action reactivate.
func (s *server) reactivate(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	t, changed, err := s.update(r, store.Reactivate())
	if err != nil {
		return err
	}
	if changed {
		s.Metrics.Reactivated()
	}
	return reply(w, http.StatusOK, Reactivated{ID: t.ID, Status: t.Status})
}

// retry answers the action retry.
func (s *server) retry(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	t, _, err := s.update(r, store.Retry())
	if err != nil {
		return err
	}
	s.wake()
	return reply(w, http.StatusOK, wireTenant(t))
}

// hold answers POST /tenants/{id}/hold.
func (s *server) hold(w http.ResponseWriter, r *request) error {
	var in HoldRequest
	if err := readBody(w, r, members{"reason": &in.Reason, "until": &in.Until}); err != nil {
		return err
	}
	if in.Reason == "" {
		return store.Errorf(store.Invalid, "reason: want a text that says why").At("reason")
	}
	if err := store.CheckText("reason", in.Reason, store.MaxNameLength); err != nil {
		return err
	}
	t, _, err := s.update(r, store.SetHold(in.Reason, in.Until.Time))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wireTenant(t))
}

// release answers DELETE /tenants/{id}/hold.
func (s *server) release(w http.ResponseWriter, r *request) error {
	t, _, err := s.update(r, store.Release())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wireTenant(t))
}
