package api

import (
	"net/http"

	"github.com/tenantpurge/purger/purge/client"
)

// diagnoseSource answers GET /source/findings.
func (s *server) diagnoseSource(w http.ResponseWriter, r *request) error {
	syncer, err := s.syncer()
	if err != nil {
		return err
	}
	found, err := syncer.Diagnose(r.Context())
	if r.Context().Err() != nil {
		return err
	}
	out := client.Findings{Data: notNil(found)}
	if err != nil {
		out.Error = err.Error()
	}
	return reply(w, http.StatusOK, out)
}
