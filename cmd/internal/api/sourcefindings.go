package api

import (
	"net/http"
)

// diagnoseSource answers GET /source/findings.
func (s *server) diagnoseSource(w http.ResponseWriter, r *request) error {
	syncer, err := s.syncer()
	if err != nil {
		return err
	}
	return findings(w, r, syncer.Diagnose)
}
