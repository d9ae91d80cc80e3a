package api

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// captured is an answer that is made first and sent later.
type captured struct {
	http.ResponseWriter // that it is for
	header              http.Header
	status              int
	body                bytes.Buffer
}

// Unwrap is for [http.ResponseController] and recorderOf.
func (c *captured) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Header implements http.ResponseWriter.
func (c *captured) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *captured) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// Write implements http.ResponseWriter.
func (c *captured) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(p)
}

// answer returns what was captured.
func (c *captured) answer() store.Answer {
	c.WriteHeader(http.StatusOK)
	a := store.Answer{Status: c.status, Header: map[string]string{}, Body: c.body.Bytes()}
	for name := range c.header {
		if name != "Content-Length" {
			a.Header[name] = c.header.Get(name)
		}
	}
	return a
}

// send sends an answer; again says that it is not the first time.
func send(w http.ResponseWriter, a store.Answer, again bool) error {
	h := w.Header()
	for name, value := range a.Header {
		h.Set(name, value)
	}
	if again {
		h.Set(client.HeaderReplayed, "true")
	}
	if a.Status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if len(a.Body) == 0 {
		return nil
	}
	if _, err := w.Write(a.Body); err != nil {
		return notRead(err)
	}
	return nil
}
