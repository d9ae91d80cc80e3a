package oauthtarget

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// look reports whether a client is there. It is for a caller that holds its lock.
func (t *Target) look(ctx context.Context, c Client) (bool, error) {
	e := t.journal.Entry(Key(c.URI))
	if e.State == Sent && e.rotates() && proven(c, e, http.StatusUnauthorized) {
		// To ask might cost the token by which a 401 is known to mean that it is gone.
		// The next step sends a DELETE, which finds out as well.
		return true, nil
	}
	there, next, err := t.read(ctx, c, e, true)
	if err != nil {
		return false, err
	}
	if there && next.State == Gone {
		// Restored, or never removed: to be removed again, from the beginning.
		t.log.Warn("an OAuth client is there again that was gone", zap.String("target", t.cfg.Name), zap.String("client", httpcall.Hashed(c.ID)))
		next.State = Untouched
	}
	return there, t.keep(next)
}

// lookUnlisted looks at a client that a DELETE was sent to, and that the registry
// does not list any more. It may be another tenant's by now, and is not removed. It is
// for a caller that holds its lock.
func (t *Target) lookUnlisted(ctx context.Context, c Client) (bool, error) {
	e := t.journal.Entry(Key(c.URI))
	if e.State != Sent {
		return false, nil // since another call
	}
	there, next, err := t.read(ctx, c, e, false)
	if err != nil {
		return false, err
	}
	if !there {
		t.gone(e)
		return false, nil
	}
	if err := t.keep(next); err != nil {
		return false, err
	}
	return true, store.Errorf(store.Precondition, "client %s is there, a DELETE of it is on record, and the registry does not list it any more; want it to be listed again, or removed at the server", httpcall.Hashed(c.ID))
}

// remove removes a client of a tenant and reports whether it did. It is for a caller
// that holds the lock of the client.
func (t *Target) remove(ctx context.Context, tenantID string, c Client) (bool, error) {
	e := t.journal.Entry(Key(c.URI))
	before := e
	of := Sending{TenantID: tenantID, ClientID: c.ID, URI: c.URI, Token: c.Token}
	switch {
	case e.State == Gone:
		return false, nil // by another call, meanwhile
	case !proven(c, e, http.StatusUnauthorized):
		// The token has to prove good, else a 401 to the DELETE says nothing.
		there, next, err := t.read(ctx, c, e, true)
		if err != nil {
			return false, err
		}
		if !there { // by a 404
			t.gone(e)
			return false, nil
		}
		before, e = next, next
	}
	if e.State != Sent || e.Of == nil || *e.Of != of {
		e.State, e.Of = Sent, &of
	}
	if err := t.keep(e); err != nil {
		return false, err
	}
	r := c.request(http.MethodDelete, e)
	a, err := t.http.Do(ctx, r)
	switch {
	case err != nil && store.CodeOf(err) == store.Internal:
		// Lost, also by 503 or a redirect: a gateway says so when its connection ended,
		// which may be after the effect. The journal goes on saying that it was sent.
		return false, err
	case err != nil:
		return false, t.undo(before, e, err)
	case a.Status == http.StatusNoContent || a.Status == http.StatusOK && len(a.Body) == 0:
		t.gone(e)
		return true, nil
	case a.OK():
		return false, httpcall.Unusable(r, a, "status %d with a body, want 204 without", a.Status)
	case absent(a) && before.State == Sent:
		t.gone(e)
		return false, nil
	}
	if err := httpcall.StatusError(r, a); err.Lost() {
		return false, err
	}
	return false, t.undo(before, e, t.refusal(r, a))
}

// gone records that a client is gone. That it is not recorded does no harm: the
// next attempt finds it gone.
func (t *Target) gone(e Entry) {
	e = Entry{Key: e.Key, State: Gone}
	if err := t.journal.Record(e); err != nil {
		t.log.Warn("the journal does not take up that an OAuth client is gone", zap.String("target", t.cfg.Name), zap.Error(err))
	}
}

// undo takes back that a DELETE was sent, which is known to have done nothing, and
// returns its error. What an earlier attempt may have done stays on record.
func (t *Target) undo(before, now Entry, err error) error {
	if before.State != now.State {
		if err := t.journal.Record(before); err != nil {
			return err
		}
	}
	return err
}

// keep records an entry unless the journal has it.
func (t *Target) keep(e Entry) error {
	if e.same(t.journal.Entry(e.Key)) {
		return nil
	}
	return t.journal.Record(e)
}

// read gets the registration of a client, which the registry lists or not. It returns
// the entry with the token that is good from now on, for the journal, which does not have
// it yet.
func (t *Target) read(ctx context.Context, c Client, e Entry, listed bool) (there bool, next Entry, err error) {
	next = e
	if next.State == Sent && next.rotates() && next.Doubt == Certain {
		next.Doubt = Asked
		if err := t.keep(next); err != nil {
			return false, e, err
		}
	}
	r := c.request(http.MethodGet, e)
	a, err := t.http.Do(ctx, r)
	switch {
	case err != nil && store.CodeOf(err) == store.Exhausted:
		return false, e, cmp.Or(t.keep(e), err) // said before anything was done
	case err != nil:
		return false, e, err
	case absent(a) && proven(c, e, a.Status):
		return false, e, nil
	case absent(a) && e.State == Sent && e.Doubt != Certain:
		return t.doubtful(r, a, e, listed)
	case a.Status >= 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout:
		// Refused, and so there is no other token.
		return false, e, cmp.Or(t.keep(e), t.refusal(r, a))
	case a.Status != http.StatusOK:
		return false, e, t.refusal(r, a)
	}
	body, err := httpcall.JSON(r, a)
	if err != nil {
		return false, e, err
	}
	var found registered
	if json.Unmarshal(body, &found) != nil || found.ID == "" {
		return false, e, httpcall.Unusable(r, a, "the answer is not the registration of a client")
	}
	if found.ID != c.ID {
		// The registry is wrong, and what is there may be anybody's.
		return false, e, store.Errorf(store.Precondition, "at the registration URI of client %s there is another client", httpcall.Hashed(c.ID))
	}
	next = e
	next.Doubt = Certain
	if found.Token != "" && found.Token != token(c, e) {
		next.Token, next.Instead = found.Token, Key(c.Token)
	}
	return true, next, nil
}

// doubtful returns what a 401 means to a token that the server may have replaced since
// the DELETE, by an answer that was lost: nothing, until somebody has looked.
func (t *Target) doubtful(r httpcall.Request, a *httpcall.Response, e Entry, listed bool) (bool, Entry, error) {
	const why = "a DELETE is on record, and since then an answer was lost that may have had another token: the client is gone, or its token is no longer known"
	switch {
	case !listed && e.Doubt == Told:
		return false, e, nil
	case !listed:
		return false, e, store.Errorf(store.Precondition, "%w; %s, and the registry does not list it any more; want it to be listed again, with a good token if it is there", httpcall.StatusError(r, a), why)
	}
	e.Doubt = Told
	if err := t.keep(e); err != nil {
		return false, e, err
	}
	return false, e, store.Errorf(store.Unauthenticated, "%w; %s; look at the server, and correct its registration, or take it off if it is gone", httpcall.StatusError(r, a), why)
}

// refusal returns the error of an answer that is no success.
func (t *Target) refusal(r httpcall.Request, a *httpcall.Response) error {
	if a.OK() {
		return httpcall.Unusable(r, a, "status %d, want 200 with the registration", a.Status)
	}
	err := httpcall.StatusError(r, a)
	switch {
	case absent(a):
		return store.Errorf(store.Unauthenticated, "%w, and no DELETE with this token is on record: its registration access token is bad, or somebody else removed it; correct its registration, or take it off", err)
	case a.Status == http.StatusForbidden || a.Status == http.StatusMethodNotAllowed:
		return store.Errorf(store.Forbidden, "the server does not let the client be managed: %w", err)
	}
	return err
}

// absent reports whether an answer may mean that a client is gone: 404, 410, or 401
// by who checks the token (RFC 6750, section 3), not a proxy in front of it.
func absent(a *httpcall.Response) bool {
	page := strings.Contains(strings.ToLower(a.Header.Get("Content-Type")), "html") || bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<"))
	switch a.Status {
	case http.StatusNotFound, http.StatusGone:
		return !page
	case http.StatusUnauthorized:
		var said struct {
			Error string `json:"error"`
		}
		challenge := strings.HasPrefix(strings.ToLower(a.Header.Get("WWW-Authenticate")), "bearer")
		return !page && (challenge || json.Unmarshal(a.Body, &said) == nil && said.Error != "")
	}
	return false
}

// proven reports whether a status that looks as if a client were gone means that: a
// DELETE of it is on record, sent with a token that had proved good, and that is still
// the registry's. 401 also says that a token is bad, and means it only while there is no
// doubt about the token.
func proven(c Client, e Entry, status int) bool {
	if e.State == Gone {
		return true
	}
	return e.State == Sent && e.Of != nil && e.Of.Token == c.Token && (e.Doubt == Certain || status != http.StatusUnauthorized)
}

// token returns the newest token of a client: what the server gave out instead of
// the registry's, or the registry's if that has changed since.
func token(c Client, e Entry) string {
	if e.Token != "" && e.Instead == Key(c.Token) {
		return e.Token
	}
	return c.Token
}

// shown returns what errors show of a registration URI: not its path and query, which
// have the id in them.
func shown(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "{client}"
	}
	return u.Scheme + "://" + u.Host + "/{client}"
}

// request returns one about a client, with its newest token.
func (c Client) request(method string, e Entry) httpcall.Request {
	return httpcall.Request{
		Method: method, URL: c.URI, Shown: shown(c.URI), Of: c.ID,
		Header: http.Header{"Authorization": {"Bearer " + token(c, e)}},
	}
}
