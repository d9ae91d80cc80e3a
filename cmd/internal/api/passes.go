package api

import (
	"net/http"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
)

// keptRuns is how many passes a store remembers.
const keptRuns = 100

// plan answers GET /plan.
func (s *server) plan(w http.ResponseWriter, r *request) error {
	report, err := s.Engine.Plan(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, report)
}

// startPass answers POST /purges. A pass of the scheduler goes on when the
// caller leaves; one in the request ends with it and is resumed by the next.
func (s *server) startPass(w http.ResponseWriter, r *request) error {
	wait, err := r.query.flag("wait")
	if err != nil {
		return err
	}
	word, err := r.query.oneOf("trigger", string(purge.TriggerAPI), string(purge.TriggerRun))
	if err != nil {
		return err
	}
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	report, err := s.pass(r, purge.Trigger(word), wait)
	switch {
	case err != nil:
		return err
	case !wait:
		return reply(w, http.StatusAccepted, client.Accepted{Status: "accepted"})
	}
	return reply(w, http.StatusOK, report)
}

// pass makes a pass. The report is there when the caller waits for it.
func (s *server) pass(r *request, t purge.Trigger, wait bool) (purge.Report, error) {
	if s.Scheduler == nil {
		return s.Engine.Run(r.Context(), t)
	}
	ticket := s.Scheduler.Trigger(t)
	if !wait {
		return purge.Report{}, nil
	}
	return ticket.Wait(r.Context())
}

// wake tells the scheduler that there may be a purge to resume.
func (s *server) wake() {
	if s.Scheduler != nil {
		s.Scheduler.Wake()
	}
}

// listPasses answers GET /purges.
func (s *server) listPasses(w http.ResponseWriter, r *request) error {
	limit, err := r.query.number("limit", 1, keptRuns, keptRuns)
	if err != nil {
		return err
	}
	runs, err := s.Store.Runs(r.Context(), int(limit))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.RunPage{Data: notNil(runs)})
}

// notNil makes an empty list [] on the wire and not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
