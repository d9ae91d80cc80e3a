package api

import (
	"net/http"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// pause answers POST /pause. With api.approvals.resume: 1 another pause replaces the one
// in force, whenever it ends; with 2 it must not end earlier, which would be a resume by
// one person.
func (s *server) pause(w http.ResponseWriter, r *request) error {
	var in client.PauseRequest
	if err := readBody(w, r, members{"reason": &in.Reason, "until": &in.Until}); err != nil {
		return err
	}
	c := store.PausePurging(in.Reason, in.Until.Time)
	if s.approvals().takes(store.ApproveResume) >= 2 {
		c = store.ProlongPause(in.Reason, in.Until.Time)
	}
	return s.changeGates(w, r, c)
}

// resume answers POST /resume.
func (s *server) resume(w http.ResponseWriter, r *request) error {
	var in client.ResumeRequest
	if err := readBody(w, r, members{"reason": &in.Reason, "allow": &in.Allow}); err != nil {
		return err
	}
	c := store.ResumePurging(in.Reason, in.Allow)
	gates, err := s.Store.Gates(r.Context())
	if err == nil {
		_, err = c.Apply(&gates, r.origin()) // for nobody is asked about what is wrong
	}
	if err != nil {
		return err
	}
	if asked, err := s.ask(w, r, store.ApprovalRequest{Action: store.ApproveResume}, in); asked || err != nil {
		return err
	}
	if a := approvalOf(r.Context()); a != nil {
		c = a.Approved(c)
	}
	return s.changeGates(w, r, c)
}

// changeGates makes a change and answers with the gates as they are then.
func (s *server) changeGates(w http.ResponseWriter, r *request, c store.GateChange) error {
	gates, err := s.Store.ChangeGates(r.Context(), c, r.origin())
	if err != nil {
		return err
	}
	s.wake() // what was claimed goes on without waiting for the schedule
	return reply(w, http.StatusOK, gates)
}
