package restsource

import (
	"slices"
	"strings"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// Defaults of a zero field.
const (
	DefaultName = "rest"
	DefaultSize = 100
)

// Config says how an API lists tenants. Secrets are given as they are, but those of
// the URLs.
type Config struct {
	// Name is that of the source; "" is "rest".
	Name string
	// BaseURL is put in front of the URLs that begin with "/".
	BaseURL string
	// Hosts, Insecure, Auth, CA, Cert, Key, Headers, Timeout and MaxBody are those
	// of [httpcall.Config].
	Hosts    []string
	Insecure bool
	Auth     httpcall.Auth
	CA       string            `config:"secret"`
	Cert     string            `config:"secret"`
	Key      string            `config:"secret"`
	Headers  map[string]string `config:"secret"`
	Timeout  time.Duration
	MaxBody  int64
	// Rate is how many requests a second are made, up to 1,000, look-ups and pages
	// together; 0 is no limit. Whatever it is, an API that answers 429, or 503 with
	// Retry-After, is left alone for as long as it says.
	Rate float64

	List List
	Get  Get
	// Children is how those right below a tenant are listed; its URL has {id} as
	// that of Get has. With URL "" nobody asks for them.
	Children List
	Fields   Fields
	// Active and Disabled are the values of the status that mean so; booleans are
	// "true" and "false". None are "active", and "disabled". A status that is
	// in neither is a row that is not understood.
	Active, Disabled []string
	// Times is how instants are written: "rfc3339", "" for that, "unix" for
	// seconds, or "unixMilli".
	Times string
	// Secrets are what the references in the URLs of List, Get and Children stand
	// for.
	Secrets httpcall.Secrets `config:"secrets"`
}

// List is how tenants are listed.
type List struct {
	// URL is a path with a query, or absolute.
	URL string `config:"template"`
	// Items is the gjson path of the array of tenants; "" is the whole answer.
	Items string
	// Total is the gjson path of the number of all tenants of the list. With it, a
	// list of another length is an error. "" is none.
	Total  string
	Paging Paging
}

// Get is how a single tenant is read. 404 and 410, with JSON, mean that there is
// none.
type Get struct {
	// URL has {id} in a segment of its path, or in its query.
	URL string `config:"template"`
	// Item is the gjson path of the tenant; "" is the whole answer.
	Item string
}

// Fields are the gjson paths, within a tenant, of what is known of it. ID and
// Status are required, DisabledAt where tenants can be disabled; "" is for what
// the API does not say.
type Fields struct {
	ID, Parent, Name, Host, Status, DisabledAt, PurgeAfterDays, PurgeAt string
}

// The types of paging.
const (
	PagingNone   = "none"   // one answer has everything
	PagingLink   = "link"   // a Link header, or Next, has the URL of the next page
	PagingCursor = "cursor" // Next has what Param is to be for the next page
	PagingOffset = "offset" // Param is how many tenants to leave out
	PagingPage   = "page"   // Param is the number of the page
)

// Paging is how a list goes on.
type Paging struct {
	// Type is one of the constants; "" is [PagingNone].
	Type string
	// Size is how many tenants a page is asked to have, 1 to 100,000; 0 is 100.
	// SizeParam is the parameter for it; "" asks for nothing.
	Size      int
	SizeParam string
	// Param is the parameter for the cursor, the offset or the page.
	Param string
	// Next is the gjson path of the next cursor, or URL.
	Next string
	// First is the number of the first page; of an offset it is 0.
	First int
}

// withDefaults returns the configuration without zero fields.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Active == nil {
		c.Active = []string{string(store.StatusActive)}
	}
	if c.Disabled == nil {
		c.Disabled = []string{string(store.StatusDisabled)}
	}
	if c.Times == "" {
		c.Times = "rfc3339"
	}
	for _, p := range []*Paging{&c.List.Paging, &c.Children.Paging} {
		if p.Type == "" {
			p.Type = PagingNone
		}
		if p.Size == 0 {
			p.Size = DefaultSize
		}
	}
	return c
}

// validate returns what is wrong with the parts that httpcall does not know.
func (c *Config) validate() error {
	bad := func(field, format string, args ...any) error {
		return store.Errorf(store.Invalid, field+": "+format, args...).At(field)
	}
	if err := store.CheckID("name", c.Name); err != nil {
		return err
	}
	switch {
	case c.List.URL == "":
		return bad("list.url", "missing; want a path such as /tenants")
	case strings.Count(c.Get.URL, idPlace) != 1:
		return bad("get.url", "%q: want a path with {id} in it, once", c.Get.URL)
	case c.Fields.ID == "":
		return bad("fields.id", "missing; want the gjson path of the id within a tenant")
	case c.Fields.Status == "":
		return bad("fields.status", "missing; want the gjson path of the status within a tenant")
	case !slices.Contains([]string{"rfc3339", "unix", "unixMilli"}, c.Times):
		return bad("times", "%q: want rfc3339, unix or unixMilli", c.Times)
	case !(c.Rate >= 0 && c.Rate <= 1000): // nor what is no number
		return bad("rate", "%v: want 0 to 1000 requests a second", c.Rate)
	case c.Children.URL != "" && strings.Count(c.Children.URL, idPlace) != 1:
		return bad("children.url", "%q: want a path with {id} in it, once", c.Children.URL)
	case c.Children.URL == "" && (c.Children.Items != "" || c.Children.Total != "" || c.Children.Paging.Type != PagingNone):
		return bad("children.url", "missing; want a path such as /tenants?parent={id}")
	case c.Children.URL != "" && c.Fields.Parent == "":
		return bad("fields.parent", "missing; want the gjson path of the parent's id within a tenant, since there is children.url")
	}
	if err := c.List.Paging.validate("list.paging"); err != nil {
		return err
	}
	if err := c.Children.Paging.validate("children.paging"); err != nil {
		return err
	}
	for _, v := range c.Active {
		if slices.Contains(c.Disabled, v) {
			return bad("disabled", "%q means active, too", v)
		}
	}
	return nil
}

// validate returns what is wrong with the paging, which is that of a field.
func (p *Paging) validate(of string) error {
	bad := func(field, format string, args ...any) error {
		field = of + "." + field
		return store.Errorf(store.Invalid, field+": "+format, args...).At(field)
	}
	types := []string{PagingNone, PagingLink, PagingCursor, PagingOffset, PagingPage}
	switch {
	case !slices.Contains(types, p.Type):
		return bad("type", "%q: want one of %s", p.Type, strings.Join(types, ", "))
	case p.Size < 1 || p.Size > 100_000:
		return bad("size", "%d: want 1 to 100000", p.Size)
	case p.First < 0 || p.First > 1:
		return bad("first", "%d: want 0 or 1", p.First)
	case p.Param == "" && slices.Contains([]string{PagingCursor, PagingOffset, PagingPage}, p.Type):
		return bad("param", "missing; want the name of the parameter for the %s", p.Type)
	case p.Next == "" && p.Type == PagingCursor:
		return bad("next", "missing; want the gjson path of the next cursor")
	}
	return nil
}
