package oauthtarget

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

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

// String leaves the token out, and the URI, which may hold one.
func (c Client) String() string { return c.ID }

// GoString does as String does.
func (c Client) GoString() string { return c.ID }

// Registry knows the clients of tenants. It is safe for concurrent use.
type Registry interface {
	// Clients returns those of the tenant itself, none when there are none. A
	// client stays listed after it was removed, or until its tenant is purged;
	// one that is not listed is taken for one that the tenant never had.
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
		return Client{}, store.Errorf(store.Invalid, "registration_client_uri of client %q is not an absolute URL", r.ID)
	case r.Token == "" || strings.ContainsAny(r.Token, " \t") || !httpguts.ValidHeaderFieldValue(r.Token):
		return Client{}, store.Errorf(store.Invalid, "registration_access_token of client %q is missing, or is none", r.ID)
	}
	return Client{r.ID, r.URI, r.Token}, nil
}

// parsed is a registry in memory.
type parsed map[string][]Client

// ParseClients reads a registry of JSON lines, as the package says. An error is
// [store.Invalid] and names the line, and nothing secret.
func ParseClients(text string) (Registry, error) {
	clients := parsed{}
	owner := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		bad := func(format string, args ...any) error {
			return store.Errorf(store.Invalid, "clients: line %d: "+format, append([]any{i + 1}, args...)...).At("clients")
		}
		var r registered
		if json.Unmarshal([]byte(line), &r) != nil { // its error may show what was read
			return nil, bad("not a JSON object with tenant_id, client_id, registration_client_uri and registration_access_token")
		}
		if err := store.CheckID("tenant_id", r.TenantID); err != nil {
			return nil, bad("%w", err)
		}
		c, err := r.client()
		if err != nil {
			return nil, bad("%w", err)
		}
		if owner[c.URI] {
			return nil, bad("client %q is there twice", c.ID)
		}
		owner[c.URI] = true
		clients[r.TenantID] = append(clients[r.TenantID], c)
	}
	return clients, nil
}

// Clients implements [Registry].
func (p parsed) Clients(_ context.Context, tenantID string) ([]Client, error) {
	return p[tenantID], nil
}

// directory is a registry in the data of resources.
type directory struct{ store.Directory }

// FromDirectory returns the registry in the data of the resources of kind
// [store.KindOAuthClient].
func FromDirectory(d store.Directory) Registry { return directory{d} }

// atOnce is how many resources are read at a time.
const atOnce = 1000

// Clients implements [Registry]. The error of one resource is that of the tenant.
func (d directory) Clients(ctx context.Context, tenantID string) ([]Client, error) {
	var clients []Client
	for after := ""; ; {
		list, err := d.List(ctx, tenantID, store.KindOAuthClient, after, atOnce)
		if code := store.CodeOf(err); code == store.NotFound || code == store.Gone {
			return clients, nil
		}
		if err != nil {
			return nil, err
		}
		for _, resource := range list {
			r := registered{}
			if len(resource.Data) > 0 && json.Unmarshal(resource.Data, &r) != nil {
				return nil, store.Errorf(store.Precondition, "the data of client %q is not that of a registration", resource.ID)
			}
			if r.URI == "" {
				continue
			}
			if r.ID == "" {
				r.ID = resource.ID
			}
			c, err := r.client()
			if err != nil {
				return nil, store.Errorf(store.Precondition, "the data of client %q: %w", resource.ID, err)
			}
			clients = append(clients, c)
		}
		if len(list) < atOnce {
			return clients, nil
		}
		after = list[len(list)-1].ID
	}
}
