package api

import (
	"math"
	"net/http"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// receipt answers GET /receipts/{id}.
func (s *server) receipt(w http.ResponseWriter, r *request) error {
	receipt, err := s.Store.Receipt(r.Context(), r.id)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, receipt)
}

// audit answers GET /audit.
func (s *server) audit(w http.ResponseWriter, r *request) error {
	from, err := r.query.number("from", 1, math.MaxInt64, 1)
	if err != nil {
		return err
	}
	limit, err := r.query.number("limit", 1, store.MaxPage, client.DefaultPage)
	if err != nil {
		return err
	}
	entries, err := s.Store.Audit(r.Context(), uint64(from), int(limit))
	if err != nil {
		return err
	}
	page := client.AuditPage{Data: notNil(entries)}
	if len(entries) == int(limit) {
		page.Next = entries[len(entries)-1].Seq + 1
	}
	return reply(w, http.StatusOK, page)
}
