package api

import (
	"net/http"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// syncer returns what syncs the source.
func (s *server) syncer() (*purge.Syncer, error) {
	if s.Syncer == nil {
		return nil, store.Errorf(store.Precondition, "no source is configured: tenants come by the API and by import; want source in the configuration")
	}
	return s.Syncer, nil
}

// sourceState answers GET /source.
func (s *server) sourceState(w http.ResponseWriter, r *request) error {
	syncer, err := s.syncer()
	if err != nil {
		return err
	}
	st, err := syncer.Status(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, st)
}

// syncSource answers POST /source/actions/sync.
func (s *server) syncSource(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	syncer, err := s.syncer()
	if err != nil {
		return err
	}
	result, err := syncer.Sync(r.Context())
	if err != nil && result.Result == "" {
		return err
	}
	return reply(w, http.StatusOK, result) // what was wrong is in it
}

// acceptSync answers POST /source/actions/accept.
func (s *server) acceptSync(w http.ResponseWriter, r *request) error {
	var body client.AcceptRequest
	if err := readBody(w, r, members{"digest": &body.Digest}); err != nil {
		return err
	}
	if body.Digest == "" {
		return store.Errorf(store.Invalid, "digest: want that of the refused sync, from GET /source").At("digest")
	}
	syncer, err := s.syncer()
	if err != nil {
		return err
	}
	st, err := syncer.Accept(r.Context(), body.Digest, r.origin())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, st)
}
