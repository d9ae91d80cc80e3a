package scimtarget

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// How long what a server says of itself is believed.
const capabilitiesFor = 10 * time.Minute

// The limits of Bulk requests to a server that offers them and names none.
const (
	defaultOperations = 100
	defaultPayload    = 256 << 10
)

// capabilities is what a server says of itself. It is not changed once it is
// there.
type capabilities struct {
	told       bool // false: it has no ServiceProviderConfig
	bulk       bool
	operations int
	payload    int
	filter     bool
	maxResults int // 0: it does not say
	// By path: whether the schema was there, and minds the case of the attribute.
	known, exact map[string]bool
}

// visit is what the requests of one call of the target have in common.
type visit struct {
	*capabilities
	patience httpcall.Patience
}

// visit begins a call.
func (t *Target) visit(ctx context.Context) (*visit, error) {
	c, err := t.discover(ctx)
	if err != nil {
		return nil, err
	}
	return &visit{capabilities: c}, nil
}

// provider keeps capabilities. The channel is a lock that heeds a context.
type provider struct {
	lock chan *kept
}

type kept struct {
	caps  *capabilities
	until time.Time
}

func newProvider() provider {
	p := provider{make(chan *kept, 1)}
	p.lock <- &kept{}
	return p
}

// discover returns what the server can do, asking it now and then.
func (t *Target) discover(ctx context.Context) (*capabilities, error) {
	var k *kept
	done := purge.Idle(ctx)
	select {
	case k = <-t.provider.lock:
		done()
		defer func() { t.provider.lock <- k }()
	case <-ctx.Done():
		done()
		return nil, store.Errorf(store.Unavailable, "waiting for ServiceProviderConfig: %v", ctx.Err())
	}
	if k.caps != nil && time.Now().Before(k.until) {
		return k.caps, nil
	}
	caps, err := t.ask(ctx)
	if err != nil {
		return nil, err
	}
	k.caps, k.until = caps, time.Now().Add(capabilitiesFor)
	return caps, nil
}

// ask reads ServiceProviderConfig and the schemas of the attributes. An attribute
// that is not in its schema is an error: a filter on it would find nothing, and
// nothing would be taken for empty.
func (t *Target) ask(ctx context.Context) (*capabilities, error) {
	c := &capabilities{filter: true, known: map[string]bool{}, exact: map[string]bool{}}
	var config struct {
		Bulk struct {
			Supported      bool
			MaxOperations  int
			MaxPayloadSize int
		}
		Filter *struct {
			Supported  bool
			MaxResults int
		}
	}
	var err error
	if c.told, err = t.read(ctx, "/ServiceProviderConfig", &config); err != nil {
		return nil, err
	}
	if config.Filter != nil {
		c.filter, c.maxResults = config.Filter.Supported, max(config.Filter.MaxResults, 0)
	}
	if !c.filter {
		return nil, store.Errorf(store.Precondition, "the server supports no filters (ServiceProviderConfig): the resources of one tenant cannot be found")
	}
	c.bulk = config.Bulk.Supported && t.cfg.Bulk == BulkAuto
	if c.operations = config.Bulk.MaxOperations; c.operations < 1 {
		c.operations = defaultOperations
	}
	if c.payload = config.Bulk.MaxPayloadSize; c.payload < 1 {
		c.payload = defaultPayload
	}
	for _, e := range t.endpoints {
		if c.known[e.path], c.exact[e.path], err = t.askSchema(ctx, e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// schemaAttribute is the definition of an attribute.
type schemaAttribute struct {
	Name          string            `json:"name"`
	CaseExact     bool              `json:"caseExact"`
	SubAttributes []schemaAttribute `json:"subAttributes"`
}

// askSchema reports whether the server describes an attribute, and whether it
// minds its case.
func (t *Target) askSchema(ctx context.Context, e *endpoint) (known, exact bool, err error) {
	urn := e.attr.schema
	switch {
	case urn == "" && strings.EqualFold(e.attr.name, "externalId"):
		return true, true, nil // RFC 7643, section 3.1; it is in no schema
	case urn == "" && e.path == "/Users":
		urn = "urn:ietf:params:scim:schemas:core:2.0:User"
	case urn == "" && e.path == "/Groups":
		urn = "urn:ietf:params:scim:schemas:core:2.0:Group"
	case urn == "":
		return false, false, nil
	}
	var schema struct {
		ID         string            `json:"id"`
		Attributes []schemaAttribute `json:"attributes"`
	}
	there, err := t.read(ctx, "/Schemas/"+urn, &schema)
	if err != nil || !there || !strings.EqualFold(schema.ID, urn) {
		return false, false, err
	}
	of := func(list []schemaAttribute, name string) *schemaAttribute {
		for i := range list {
			if strings.EqualFold(list[i].Name, name) {
				return &list[i]
			}
		}
		return nil
	}
	found := of(schema.Attributes, e.attr.name)
	if found != nil && e.attr.sub != "" {
		found = of(found.SubAttributes, e.attr.sub)
	}
	if found == nil {
		return false, false, store.Errorf(store.Precondition, "the server's schema %s has no attribute %s: a filter on it would find nothing", urn, e.attr)
	}
	return true, found.CaseExact, nil
}

// read gets a document of a server about itself; false says that it has none.
func (t *Target) read(ctx context.Context, path string, into any) (bool, error) {
	r := get(path)
	a, err := t.http.Do(ctx, r)
	if err != nil {
		return false, err
	}
	switch a.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return false, nil
	default:
		return false, httpcall.StatusError(r, a)
	}
	body, err := httpcall.JSON(r, a)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return false, httpcall.Unusable(r, a, "the answer is not what %s is", path)
	}
	return true, nil
}
