package api

import (
	"bufio"
	"encoding/json"
	"net/http"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/ndjson"
)

// export answers GET /export. The answer ends with a trailer: the summary of a
// complete export, or the error that ended it.
func (s *server) export(w http.ResponseWriter, r *request) error {
	from, ok := s.Store.(interface {
		store.Store
		store.Directory
	})
	if !ok {
		return store.Errorf(store.Precondition, "this store holds no resources to export")
	}
	h := w.Header()
	h.Set("Content-Type", client.ContentNDJSON)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Trailer", client.TrailerSummary+", "+client.TrailerError)
	out := bufio.NewWriterSize(streaming(w), 64<<10)
	sum, err := ndjson.Export(r.Context(), from, out, ndjson.ExportOptions{})
	if err == nil {
		if err = out.Flush(); err != nil {
			err = notRead(err)
		}
	}
	if err != nil && !begun(w) {
		h.Del("Trailer")
		return err
	}
	if err != nil {
		body, _ := errorBody(r.Context(), err)
		setTrailer(h, client.TrailerError, body)
		return err
	}
	setTrailer(h, client.TrailerSummary, client.ExportSummary{
		Lines: sum.Lines, Tenants: sum.Tenants.New, Resources: sum.Resources.New, Skipped: sum.Tenants.Skipped,
	})
	return nil
}

// setTrailer sets a declared trailer to a JSON document, which has no line
// breaks.
func setTrailer(h http.Header, name string, v any) {
	b, err := json.Marshal(v)
	if err != nil { // both documents are of types that always encode
		panic(err)
	}
	h.Set(name, string(b))
}
