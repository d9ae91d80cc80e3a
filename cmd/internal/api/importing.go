package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/ndjson"
)

// importFile answers POST /import. The answer is a stream of [ImportEvent], so
// that the caller sees what happens; the import ends with the caller.
func (s *server) importFile(w http.ResponseWriter, r *request) error {
	dryRun, err := r.query.flag("dryRun")
	if err != nil {
		return err
	}
	onConflict, err := r.query.oneOf("onConflict", ndjson.OnConflictFail, ndjson.OnConflictKeep)
	if err != nil {
		return err
	}
	supersede, err := r.query.flag("supersede")
	if err != nil {
		return err
	}
	if err := checkContentType(r.Header, client.ContentNDJSON); err != nil {
		return err
	}
	to, ok := s.Store.(interface {
		store.Store
		store.Importer
	})
	if !ok {
		return store.Errorf(store.Precondition, "this store cannot be filled by an import")
	}
	unlock, err := only(&s.importing, "an import")
	if err != nil {
		return err
	}
	unlock = sync.OnceFunc(unlock)
	defer unlock()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	events, err := newEvents(w, cancel)
	if err != nil {
		return err
	}
	sum, err := ndjson.Import(ctx, ndjson.ImportOptions{
		Store: to, Input: &patientReader{r: r.Body, ctl: http.NewResponseController(w)}, TempDir: s.TempDir,
		Actor: r.caller.Actor, Grace: s.Engine.Settings().Grace, CheckID: checkNewID,
		DryRun: dryRun, OnConflict: onConflict, Supersede: supersede,
		// An event that cannot be sent ends ctx and so the import.
		Progress: func(p ndjson.Progress) { _ = events.send(client.ImportEvent{Progress: &p}) },
	})
	unlock() // before the caller knows: it may begin the next at once
	if err != nil {
		noteError(w, err)
		body := importBody(r.Context(), err)
		return events.send(client.ImportEvent{Error: &body})
	}
	return events.send(client.ImportEvent{Summary: &sum})
}

// events writes the answer of an import.
type events struct {
	enc  *json.Encoder
	rec  *recorder
	left context.CancelCauseFunc // called when nobody reads any more
}

// newEvents begins the answer. The caller is still sending its input: from here
// on both directions go on side by side.
func newEvents(w http.ResponseWriter, left context.CancelCauseFunc) (*events, error) {
	rec := streaming(w)
	if err := rec.ctl.EnableFullDuplex(); err != nil {
		return nil, store.Errorf(store.Internal, "answer while the input comes: %w", err)
	}
	w.Header().Set("Content-Type", client.ContentNDJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	e := &events{enc: json.NewEncoder(w), rec: rec, left: left}
	return e, rec.flush()
}

// send writes one event at once. An event that cannot be written ends the
// import.
func (e *events) send(ev client.ImportEvent) error {
	err := e.enc.Encode(ev)
	if err == nil {
		err = e.rec.flush()
	}
	if err != nil {
		err = notRead(err)
		e.left(err)
	}
	return err
}

// patientReader gives each read of a body a deadline of its own.
type patientReader struct {
	r   io.Reader
	ctl *http.ResponseController
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(streamTimeout))
	n, err := p.r.Read(b)
	if err == io.EOF {
		// At the end of the body the server reads on, to see whether the caller
		// leaves, however long the import takes from here.
		_ = p.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// importBody renders the error of an import: a problem for each line that is
// wrong, or the error as a whole.
func importBody(ctx context.Context, err error) client.ErrorBody {
	var invalid *ndjson.InvalidInput
	if !errors.As(err, &invalid) {
		body, _ := errorBody(ctx, err)
		return body
	}
	body := client.ErrorBody{TraceID: traceOf(ctx), Total: invalid.Total}
	for _, l := range invalid.Errors {
		p, _ := problemOf(store.Errorf(invalid.Code, "%w", l.Err))
		p.Source = &client.Source{Line: l.Line, ID: l.ID}
		if l.Field != "" {
			p.Source.Pointer = client.PointerTo(l.Field)
		}
		body.Errors = append(body.Errors, p)
	}
	return body
}
