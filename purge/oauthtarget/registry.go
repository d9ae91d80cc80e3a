package oauthtarget

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// Client is an OAuth client as its registration has it.
type Client struct {
	// ID is the client_id. What is found at URI must have the same.
	ID string
	// URI is registration_client_uri, absolute.
	URI string
	// Token is registration_access_token. It is a secret.
	Token string
}

// String tells the client by [httpcall.Hashed] of its id, without the token, and
// without the URI, which may hold one.
func (c Client) String() string { return httpcall.Hashed(c.ID) }

// GoString does as String does.
func (c Client) GoString() string { return c.String() }

// Registry knows the clients of tenants. It is safe for concurrent use.
type Registry interface {
	// Clients returns those of the tenant itself as they are known now, none when
	// there are none; what cannot be read is an error. A client stays listed until
	// its tenant is purged: one that is not listed is taken for one that is not the
	// tenant's, unless a DELETE of it is on record.
	Clients(ctx context.Context, tenantID string) ([]Client, error)
}

// registered is a client on the wire, and in the data of a resource.
type registered struct {
	TenantID string `json:"tenant_id"`
	ID       string `json:"client_id"`
	URI      string `json:"registration_client_uri"`
	Token    string `json:"registration_access_token"`
}

// client checks what was read. An error shows neither URI nor token.
func (r registered) client() (Client, error) {
	u, err := url.Parse(r.URI)
	switch {
	case r.ID == "":
		return Client{}, store.Errorf(store.Invalid, "client_id is missing")
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return Client{}, store.Errorf(store.Invalid, "registration_client_uri of client %s is not an absolute URL", httpcall.Hashed(r.ID))
	case r.Token == "" || strings.ContainsAny(r.Token, " \t") || !httpguts.ValidHeaderFieldValue(r.Token):
		return Client{}, store.Errorf(store.Invalid, "registration_access_token of client %s is missing, or is none", httpcall.Hashed(r.ID))
	}
	return Client{r.ID, r.URI, r.Token}, nil
}
