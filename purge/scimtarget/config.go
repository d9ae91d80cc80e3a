package scimtarget

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// The defaults of a zero field.
const (
	DefaultPageSize = 100
	DefaultParallel = 8
)

// The ways to use Bulk.
const (
	BulkAuto  = "auto"  // where the server says that it can
	BulkNever = "never" // for a server that says so and cannot
)

// Config says where a directory is and what in it belongs to a tenant. Secrets are
// given as they are. The tags are the keys of the configuration file.
type Config struct {
	// Name is that of the target; see [purge.Target].
	Name string `yaml:"name"`
	// BaseURL is what the endpoints are below, such as
	// "https://directory.example.com/scim/v2". No other host is called.
	BaseURL string `yaml:"baseUrl"`
	// Insecure allows http:// to other machines.
	Insecure bool          `yaml:"insecure"`
	Auth     httpcall.Auth `yaml:"auth"`
	// CA, Cert and Key are PEM: whom to trust, and the client's own certificate.
	CA   string `yaml:"ca" config:"secret"`
	Cert string `yaml:"cert" config:"secret"`
	Key  string `yaml:"key" config:"secret"`
	// Headers are sent with every call.
	Headers map[string]string `yaml:"headers" config:"secret"`
	// Timeout bounds each HTTP call; 0 is 30 s. A step makes many of them.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBody is the largest answer in bytes; 0 is 8 MiB.
	MaxBody int64 `yaml:"maxBody"`
	// Resources says where the resources of each kind are. At least one.
	Resources []Resource `yaml:"resources"`
	// PageSize is how many resources are listed at a time, up to 1,000; 0 is
	// DefaultPageSize. What the server's maxResults allows is not exceeded.
	PageSize int `yaml:"pageSize"`
	// Parallel is how many resources of one step are removed at a time where there
	// is no Bulk, up to 256; 0 is DefaultParallel.
	Parallel int `yaml:"parallel"`
	// Bulk is BulkAuto or BulkNever; "" is BulkAuto.
	Bulk string `yaml:"bulk"`
}

// Resource is one endpoint of resources.
type Resource struct {
	// Kind is what they are in purger. Several endpoints may hold the same kind;
	// they are emptied in their order. SCIM's groups have no kind of their own:
	// make them users, before the users.
	Kind store.Kind `yaml:"kind"`
	// Endpoint is the path below the base URL, "/Users" or "/Groups".
	Endpoint string `yaml:"endpoint"`
	// Attribute holds the tenant's id, and nothing else: "externalId",
	// "tenant.value", or with the URN of its schema in front
	// "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:organization".
	// The server must return it.
	Attribute string `yaml:"attribute"`
	// AttributeConfirmed says that somebody has made sure that the resources have
	// Attribute. Without it, one that neither the server's schema nor any resource
	// shows is an error: a filter on it would find nothing, whoever is asked for.
	AttributeConfirmed bool `yaml:"attributeConfirmed"`
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.PageSize == 0 {
		c.PageSize = DefaultPageSize
	}
	if c.Parallel == 0 {
		c.Parallel = DefaultParallel
	}
	if c.Bulk == "" {
		c.Bulk = BulkAuto
	}
	return c
}

// validate returns all that is wrong, joined; httpcall checks its own part.
func (c Config) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+": "+format, args...).At(field))
	}
	if err := store.CheckID("name", c.Name); err != nil {
		errs = append(errs, err)
	} else if c.Name == "store" {
		wrong("name", `"store" is the store's own`)
	}
	if len(c.Resources) == 0 {
		wrong("resources", "none; want at least one with kind, endpoint and attribute")
	}
	if c.PageSize < 1 || c.PageSize > 1000 {
		wrong("pageSize", "%d; want 1 to 1000", c.PageSize)
	}
	if c.Parallel < 1 || c.Parallel > 256 {
		wrong("parallel", "%d; want 1 to 256", c.Parallel)
	}
	if c.Bulk != BulkAuto && c.Bulk != BulkNever {
		wrong("bulk", "%q; want %s or %s", c.Bulk, BulkAuto, BulkNever)
	}
	seen := map[string]bool{}
	for i, r := range c.Resources {
		at := func(name string) string { return fmt.Sprintf("resources[%d].%s", i, name) }
		if _, err := store.ParseKind(string(r.Kind)); err != nil {
			wrong(at("kind"), "%w", err)
		}
		if u, err := url.Parse(r.Endpoint); err != nil || u.Path != r.Endpoint || len(r.Endpoint) < 2 || r.Endpoint[0] != '/' ||
			strings.HasPrefix(r.Endpoint, "//") || strings.HasSuffix(r.Endpoint, "/") || strings.Contains(r.Endpoint, "/.") {
			wrong(at("endpoint"), "%q; want a path such as /Users", r.Endpoint)
		}
		if _, err := parseAttribute(r.Attribute); err != nil {
			wrong(at("attribute"), "%w", err)
		}
		// Counted twice, its tenants would never be empty enough.
		if seen[r.Endpoint] {
			wrong(at("endpoint"), "%q is there twice", r.Endpoint)
		}
		seen[r.Endpoint] = true
	}
	return errors.Join(errs...)
}
