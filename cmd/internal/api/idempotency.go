package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// fullRetry is what a caller is told to wait for whose answer there is no room.
const fullRetry = time.Minute

// once puts around an endpoint what makes a call with an Idempotency-Key only
// once. It comes after the role and the path were checked: a caller that may not
// make a call cannot use up its key, nor learn of the answers of others.
//
// Such a call is made to its end even if its caller leaves, so that there is an
// answer when it comes back.
func (s *server) once(e endpoint) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		key, err := idempotencyKey(r)
		switch {
		case err != nil:
			return err
		case key == "":
			return e.handle(w, r)
		case e.body == unkeptBody:
			return parameterf(client.HeaderIdempotencyKey, "%s: the answer of %s %s is not kept; want the call without one",
				client.HeaderIdempotencyKey, e.method, e.url())
		}
		kept, ok := s.Store.(store.Replayer)
		if !ok {
			return store.Errorf(store.Precondition, "this store keeps no answers; want the call without the header %s", client.HeaderIdempotencyKey)
		}
		body, err := readAll(w, r)
		if err != nil {
			return err
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		c := &keyedCall{kept: kept, attempt: attemptOf(r, key, body)}
		return c.answer(w, r, e)
	}
}

// keyedCall is a call with a key.
type keyedCall struct {
	kept    store.Replayer
	attempt store.Attempt
}

// answer answers as before, or makes the call and keeps what it is answered with.
func (c *keyedCall) answer(w http.ResponseWriter, r *request, e endpoint) error {
	before, err := c.kept.BeginReplay(r.Context(), c.attempt)
	var conflict *store.Error
	switch {
	case errors.Is(err, store.ErrUnderway):
		retryAfter(w, busyRetry)
	case store.CodeOf(err) == store.Exhausted:
		retryAfter(w, fullRetry)
	}
	switch {
	case store.CodeOf(err) == store.Conflict && errors.As(err, &conflict):
		return inParameter(conflict.At(client.HeaderIdempotencyKey))
	case err != nil:
		return err
	case before != nil:
		if before.Forgotten {
			return c.sendForgotten(w, *before)
		}
		return send(w, *before, true)
	}
	// A context of its own, for the call and for what is written of it.
	ctx := context.WithoutCancel(r.Context())
	r.Request = r.WithContext(ctx)
	ended := false
	defer func() {
		if !ended { // it panics: the answer is an internal error, which is not kept
			noteError(w, c.kept.DropReplay(ctx, c.attempt, time.Now()))
		}
	}()
	out := &captured{ResponseWriter: w, header: http.Header{}}
	if err := e.handle(out, r); err != nil {
		fail(out, r.Request, err)
	}
	ended = true
	a := out.answer()
	// The caller gets its answer whether or not it could be kept: it is true.
	noteError(w, c.keep(ctx, w, r, a))
	return send(w, a, false)
}

// sendForgotten repeats an answer about a tenant that was purged since.
func (c *keyedCall) sendForgotten(w http.ResponseWriter, a store.Answer) error {
	var err error
	if a.Body, err = encoded(client.Forgotten{
		ID: a.TenantID, Status: store.StatusDeleted, Message: "the tenant was purged since, and what this call was answered with went with it",
	}); err != nil {
		return err
	}
	return send(w, a, true)
}

// keep keeps the answer of a call that was carried out. The key of one that was
// refused is free: nothing has happened, and the next one may be right.
func (c *keyedCall) keep(ctx context.Context, w http.ResponseWriter, r *request, a store.Answer) error {
	now := time.Now()
	if a.Status < 200 || a.Status >= 300 {
		return c.kept.DropReplay(ctx, c.attempt, now)
	}
	if err := aboutTenant(&a, recorderOf(w).tenant); err != nil {
		return err
	}
	if a.Size() > store.MaxAnswer {
		// The call must not be made again: whoever repeats it is told why.
		large := &captured{ResponseWriter: nil, header: http.Header{}}
		body, status := errorBody(r.Context(), &parameterError{store.Errorf(store.Conflict,
			"the call was made and answered with %d; the answer, of %d bytes, was too large to be kept", a.Status, len(a.Body)).At(client.HeaderIdempotencyKey)})
		if err := reply(large, status, body); err != nil {
			return err
		}
		a = large.answer()
	}
	return c.kept.KeepReplay(ctx, c.attempt, a, now)
}

// aboutTenant says whom an answer that is kept tells of, so that it is forgotten
// with that tenant. tenant is whom the request was about. That of a deletion, which
// would be kept after it, loses the one thing that it tells, the name.
func aboutTenant(a *store.Answer, tenant string) error {
	var d client.Deletion
	if json.Unmarshal(a.Body, &d) == nil && d.Success && d.Data.Status == store.StatusDeleted {
		d.Data.Name = ""
		body, err := encoded(d)
		a.Body = body
		return err
	}
	var about struct {
		ID string `json:"id"`
	}
	if a.TenantID = tenant; tenant == "" && json.Unmarshal(a.Body, &about) == nil { // a tenant that was made
		a.TenantID = about.ID
	}
	return nil
}

// idempotencyKey returns the key of a request, "" for none.
func idempotencyKey(r *request) (string, error) {
	values := r.Header.Values(client.HeaderIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	ok := len(values) == 1 && key != "" && len(key) <= client.MaxIdempotencyKey
	for i := range len(key) {
		ok = ok && key[i] >= ' ' && key[i] <= '~'
	}
	if !ok {
		return "", parameterf(client.HeaderIdempotencyKey, "%s: want one of 1 to %d printable ASCII characters",
			client.HeaderIdempotencyKey, client.MaxIdempotencyKey)
	}
	return key, nil
}

// attemptOf identifies a call: who calls what with which key; and what was sent
// that matters.
func attemptOf(r *request, key string, body []byte) store.Attempt {
	sent := []string{r.URL.RawQuery, r.Header.Get("Content-Type"), string(body)}
	for _, name := range []string{client.HeaderConfirm, client.HeaderQlikConfirm, client.HeaderTenant} {
		sent = append(sent, r.Header.Values(name)...)
		sent = append(sent, name)
	}
	return store.Attempt{
		Owner:  digest(r.caller.Actor.ID),
		Key:    digest(r.caller.Actor.ID, r.Method, r.URL.Path, key),
		Digest: digest(sent...), At: time.Now(),
	}
}

// digest returns the digest of texts, with their lengths, so that no other texts
// have the same.
func digest(texts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, t := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(t)))) // a hash takes everything
		_, _ = io.WriteString(h, t)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
