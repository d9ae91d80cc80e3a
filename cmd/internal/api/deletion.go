package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// deleteTenant answers DELETE /admin/tenants/{id}. Its callers know no tenant
// that was purged, nor the status of one: a purged one is not found.
func (s *server) deleteTenant(w http.ResponseWriter, r *request) error {
	version, err := r.query.number("version", 1, math.MaxInt64, 0)
	if err != nil {
		return err
	}
	for _, id := range r.Header.Values(client.HeaderTenant) {
		if id != r.id {
			return parameterf("x-tenantid", "x-tenantid %s: the path is of tenant %q; want the same id in both", store.Quote(id), r.id)
		}
	}
	conf := confirmationOf(r)
	if version == 0 && len(r.Header.Values(client.HeaderTenant)) == 0 {
		conf = s.confirmed(r)
	}
	d := purge.Deletion{ID: r.id, Version: version, Actor: r.caller.Actor}
	asked, err := s.askToDelete(w, r, conf, d)
	var out client.Deletion
	var pending *deletion
	if err == nil && !asked {
		out, pending, err = s.purge(r, conf, d)
	}
	var e *store.Error
	switch {
	case store.CodeOf(err) == store.Gone && errors.As(err, &e):
		return &refusal{http.StatusNotFound, e}
	case err != nil || asked:
		return err
	case pending != nil:
		return s.accepted(w, r, pending)
	}
	return reply(w, http.StatusOK, out)
}

// deleteDisabled answers DELETE /tenants/{id}.
func (s *server) deleteDisabled(w http.ResponseWriter, r *request) error {
	version, err := r.query.number("version", 1, math.MaxInt64, 0)
	if err != nil {
		return err
	}
	if version == 0 {
		return parameterf("version", "version: want that of the tenant, as it was read")
	}
	d := purge.Deletion{ID: r.id, Version: version, Actor: r.caller.Actor, OnlyDisabled: true}
	if asked, err := s.askToDelete(w, r, confirmationOf(r), d); asked || err != nil {
		return err
	}
	_, pending, err := s.purge(r, confirmationOf(r), d)
	switch {
	case err != nil:
		return err
	case pending != nil:
		return s.accepted(w, r, pending)
	}
	return noContent(w)
}

// purge carries out a deletion. pending is there when it takes longer than the
// policy lets a caller wait. With [Options].Deletions it goes on when the caller
// leaves.
func (s *server) purge(r *request, conf confirmation, d purge.Deletion) (out client.Deletion, pending *deletion, err error) {
	run := func(ctx context.Context) (client.Deletion, error) { return s.purgeNow(ctx, conf, d) }
	if s.Deletions == nil {
		out, err = run(r.Context())
		return out, nil, err
	}
	running, err := s.Deletions.begin(r.Context(), d.ID, run)
	if err != nil {
		return out, nil, err
	}
	var late <-chan time.Time
	if limit := s.policy().SyncTimeout; limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-running.done:
		return running.result, nil, running.err
	case <-late:
		return out, running, nil
	case <-r.Context().Done():
		return out, nil, store.Errorf(store.Unavailable, "the caller did not wait for the deletion %s: %w", running.id, context.Cause(r.Context()))
	}
}

// purgeNow carries out a deletion to its end.
func (s *server) purgeNow(ctx context.Context, conf confirmation, d purge.Deletion) (client.Deletion, error) {
	var name string // afterwards nothing knows it any more
	d.Check = func(t store.Tenant) error {
		name = t.Name
		return conf.check(&t)
	}
	receipt, err := s.Engine.Delete(ctx, d)
	var e *store.Error
	switch {
	case errors.As(err, &e) && e.Field == "version":
		return client.Deletion{}, inParameter(err)
	case err != nil:
		return client.Deletion{}, err
	}
	return client.Deletion{
		Success: true,
		Message: "Tenant deleted successfully",
		Data: client.DeletedTenant{
			ID: d.ID, Name: name, Status: store.StatusDeleted, DeletedAt: receipt.DeletedAt,
			DeletedBy:        client.DeletedBy{ID: d.Actor.ID, Name: d.Actor.Name, Email: d.Actor.Email},
			ResourcesDeleted: receipt.Deleted,
		},
		Timestamp: store.Timestamp{Time: time.Now()},
	}, nil
}

// accepted answers that a deletion goes on, and where to ask for it.
func (s *server) accepted(w http.ResponseWriter, r *request, d *deletion) error {
	p, err := s.wireDeletion(r.Context(), d)
	if err != nil {
		return err
	}
	w.Header().Set("Location", client.Prefix+"/purges/"+d.id)
	return reply(w, http.StatusAccepted, p)
}
