package restsource

import (
	"errors"
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
// the API does not say. DisabledAt and PurgeAt are instants as Config.Times says,
// PurgeAfterDays is a number of days, from 1.
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

// rule is what a field has to obey.
type rule struct {
	holds bool
	field string
	want  string
	args  []any // of want, a format
}

// broken returns an error for each rule that does not hold.
func broken(rules []rule) (errs []error) {
	for _, r := range rules {
		if !r.holds {
			errs = append(errs, store.Errorf(store.Invalid, r.field+": "+r.want, r.args...).At(r.field))
		}
	}
	return errs
}

// validate returns all that is wrong with the parts that httpcall does not know, joined.
func (c *Config) validate() error {
	var errs []error
	if err := store.CheckID("name", c.Name); err != nil {
		errs = append(errs, err)
	}
	children := c.Children.URL != ""
	errs = append(errs, broken([]rule{
		{c.List.URL != "", "list.url", "missing; want a path such as /tenants", nil},
		{strings.Count(c.Get.URL, idPlace) == 1, "get.url", "%q: want a path with {id} in it, once", []any{c.Get.URL}},
		{c.Fields.ID != "", "fields.id", "missing; want the gjson path of the id within a tenant", nil},
		{c.Fields.Status != "", "fields.status", "missing; want the gjson path of the status within a tenant", nil},
		{slices.Contains([]string{"rfc3339", "unix", "unixMilli"}, c.Times), "times", "%q: want rfc3339, unix or unixMilli", []any{c.Times}},
		{c.Rate >= 0 && c.Rate <= 1000, "rate", "%v: want 0 to 1000 requests a second", []any{c.Rate}}, // nor what is no number
		{!children || strings.Count(c.Children.URL, idPlace) == 1, "children.url", "%q: want a path with {id} in it, once", []any{c.Children.URL}},
		{children || c.Children.Items == "" && c.Children.Total == "" && c.Children.Paging.Type == PagingNone,
			"children.url", "missing; want a path such as /tenants?parent={id}", nil},
		{!children || c.Fields.Parent != "", "fields.parent", "missing; want the gjson path of the parent's id within a tenant, since there is children.url", nil},
	})...)
	errs = append(errs, c.List.Paging.validate("list.paging")...)
	errs = append(errs, c.Children.Paging.validate("children.paging")...)
	for _, v := range c.Active {
		if slices.Contains(c.Disabled, v) {
			errs = append(errs, broken([]rule{{false, "disabled", "%q means active, too", []any{v}}})...)
		}
	}
	return errors.Join(errs...)
}

// validate returns what is wrong with the paging, which is that of a field.
func (p *Paging) validate(of string) []error {
	types := []string{PagingNone, PagingLink, PagingCursor, PagingOffset, PagingPage}
	counts := slices.Contains([]string{PagingCursor, PagingOffset, PagingPage}, p.Type)
	return broken([]rule{
		{slices.Contains(types, p.Type), of + ".type", "%q: want one of %s", []any{p.Type, strings.Join(types, ", ")}},
		{p.Size >= 1 && p.Size <= 100_000, of + ".size", "%d: want 1 to 100000", []any{p.Size}},
		{p.First == 0 || p.First == 1, of + ".first", "%d: want 0 or 1", []any{p.First}},
		{p.Param != "" || !counts, of + ".param", "missing; want the name of the parameter for the %s", []any{p.Type}},
		{p.Next != "" || p.Type != PagingCursor, of + ".next", "missing; want the gjson path of the next cursor", nil},
	})
}
