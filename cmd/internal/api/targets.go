package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// listTargets answers GET /targets.
func (s *server) listTargets(w http.ResponseWriter, _ *request) error {
	page := client.TargetPage{Data: make([]client.Target, len(s.Targets))}
	for i, t := range s.Targets {
		_, canInit := purge.As[purge.Initializer](t)
		_, canDiagnose := purge.As[purge.Doctor](t)
		page.Data[i] = client.Target{
			Name: t.Name(), Kinds: notNil(t.Kinds()), Window: t.Policy().Window.String(),
			CanInit: canInit, CanDiagnose: canDiagnose, CountsSubscriptions: t.CountsSubscriptions(), Progress: progressOf(t.Progress()),
		}
	}
	return reply(w, http.StatusOK, page)
}

// progressOf renders progress.
func progressOf(rows []purge.TargetProgress) []client.TargetProgress {
	list := make([]client.TargetProgress, len(rows))
	for i, p := range rows {
		list[i] = client.TargetProgress{
			TenantID: p.TenantID, Target: p.Target, Done: p.Done, Rate: p.Rate,
			ETA: store.Timestamp{Time: p.ETA}, BeganAt: store.Timestamp{Time: p.Began}, ProgressedAt: store.Timestamp{Time: p.Progressed},
			Reason: p.Reason, Until: store.Timestamp{Time: p.Until},
		}
		if p.Remaining >= 0 {
			list[i].Remaining = &p.Remaining
		}
	}
	return list
}

// target returns the one that the path names.
func (s *server) target(r *request) (*purge.GuardedTarget, error) {
	name := r.PathValue("target")
	i := slices.IndexFunc(s.Targets, func(t *purge.GuardedTarget) bool { return t.Name() == name })
	if i < 0 {
		return nil, store.Errorf(store.NotFound, "target %.128q is not in the configuration", name)
	}
	return s.Targets[i], nil
}

// testTarget answers POST /targets/{target}/actions/test.
func (s *server) testTarget(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	t, err := s.target(r)
	if err != nil {
		return err
	}
	if _, ok := purge.As[purge.Checker](t); !ok {
		return store.Errorf(store.Precondition, "target %s cannot be checked without a purge", t.Name())
	}
	if err := t.Probe(r.Context()); err != nil {
		if r.Context().Err() != nil {
			return err
		}
		return reply(w, http.StatusOK, client.TargetCheck{Error: err.Error()})
	}
	return reply(w, http.StatusOK, client.TargetCheck{OK: true})
}

// initTarget answers POST /targets/{target}/actions/init.
func (s *server) initTarget(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	t, err := s.target(r)
	if err != nil {
		return err
	}
	v, ok := purge.As[purge.Initializer](t)
	if !ok {
		return store.Errorf(store.Precondition, "target %s needs nothing of its own in its system", t.Name())
	}
	if err := v.Init(r.Context()); err != nil {
		return err
	}
	return noContent(w)
}

// diagnose answers GET /targets/{target}/findings.
func (s *server) diagnose(w http.ResponseWriter, r *request) error {
	t, err := s.target(r)
	if err != nil {
		return err
	}
	d, ok := purge.As[purge.Doctor](t)
	if !ok {
		return store.Errorf(store.Precondition, "target %s cannot look for trouble by itself; want actions/test", t.Name())
	}
	return findings(w, r, d.Diagnose)
}

// findings answers with what a doctor finds, and why it could not look any further.
func findings(w http.ResponseWriter, r *request, look func(context.Context) ([]purge.Finding, error)) error {
	found, err := look(r.Context())
	if r.Context().Err() != nil {
		return err
	}
	out := client.Findings{Data: notNil(found)}
	if err != nil {
		out.Error = err.Error()
	}
	return reply(w, http.StatusOK, out)
}
