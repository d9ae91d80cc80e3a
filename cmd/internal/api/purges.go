package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// getPurge answers GET /purges/{purge}: a deletion of this process, or a pass that
// has ended.
func (s *server) getPurge(w http.ResponseWriter, r *request) error {
	id := r.PathValue("purge")
	if err := store.CheckID("purge", id); err != nil {
		return inParameter(err)
	}
	if d, ok := s.Deletions.get(id); ok {
		p, err := s.wireDeletion(r.Context(), d)
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, p)
	}
	runs, err := s.Store.Runs(r.Context(), keptRuns)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.ID == id {
			p, err := wireRun(run)
			if err != nil {
				return err
			}
			return reply(w, http.StatusOK, p)
		}
	}
	return store.Errorf(store.NotFound, "there is no deletion or pass %q, or it is no longer remembered", id)
}

// wireRun renders a pass.
func wireRun(run store.Run) (client.Purge, error) {
	p := client.Purge{
		ID: run.ID, Kind: client.PurgePass, Status: client.PurgeFailed,
		StartedAt: run.StartedAt, FinishedAt: run.FinishedAt, Done: run.Deleted,
	}
	if run.Result == string(purge.ResultOK) {
		p.Status = client.PurgeSucceeded
	}
	pace(&p, run.FinishedAt.Time)
	var err error
	p.Result, err = encoded(run)
	return p, err
}

// wireDeletion renders a deletion, as it is now.
func (s *server) wireDeletion(ctx context.Context, d *deletion) (client.Purge, error) {
	p := client.Purge{
		ID: d.id, Kind: client.PurgeDeletion, TenantID: d.tenantID, Status: client.PurgeRunning,
		StartedAt: store.Timestamp{Time: d.began},
	}
	switch over := d.over(); {
	case over && d.err == nil:
		p.Status, p.FinishedAt = client.PurgeSucceeded, store.Timestamp{Time: d.ended}
		p.Done = d.result.Data.ResourcesDeleted
		pace(&p, d.ended)
		var err error
		p.Result, err = encoded(d.result)
		return p, err
	case over:
		problem, _ := problemOf(d.err)
		problem = told(ctx, problem)
		p.Status, p.FinishedAt, p.Error = client.PurgeFailed, store.Timestamp{Time: d.ended}, &problem
	}
	t, err := s.Store.Tenant(ctx, d.tenantID)
	switch code := store.CodeOf(err); {
	case code == store.NotFound || code == store.Gone: // refused, or just about to end
		return p, nil
	case err != nil:
		return p, err
	}
	if c := t.Purge; c != nil {
		p.Done, p.Remaining = c.Deleted, left(c.Planned, c.Deleted)
	}
	now := time.Now()
	if p.Status != client.PurgeRunning {
		now = d.ended
	}
	pace(&p, now)
	if p.Status == client.PurgeRunning && p.Rate > 0 {
		rest := float64(p.Remaining.Resources()) / p.Rate * float64(time.Second)
		p.ETA = store.Timestamp{Time: now.Add(time.Duration(min(rest, float64(365*24*time.Hour))))}
	}
	return p, nil
}

// pace sets the rate of what was done until an instant.
func pace(p *client.Purge, until time.Time) {
	if took := until.Sub(p.StartedAt.Time); took > 0 {
		p.Rate = float64(p.Done.Resources()) / took.Seconds()
	}
}

// left returns what of planned is not in done.
func left(planned, done store.Counts) store.Counts {
	var c store.Counts
	for _, k := range store.Kinds() {
		c.Add(k, max(0, planned.Of(k)-done.Of(k)))
	}
	c.SubTenants = max(0, planned.SubTenants-done.SubTenants)
	return c
}

// encoded returns the JSON of v.
func encoded(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, store.Errorf(store.Internal, "encode the answer: %w", err)
	}
	return b, nil
}
