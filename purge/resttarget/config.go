package resttarget

import (
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// The defaults of a zero field.
const (
	DefaultParallel = 16
	DefaultSize     = 100
)

// Config describes a REST API. Secrets are given as they are, but those of a [Call].
// The tags are the keys of the configuration file.
type Config struct {
	// Name is that of the target; see [purge.Target].
	Name string `yaml:"name"`
	// BaseURL is put in front of the URLs that begin with "/".
	BaseURL string `yaml:"baseUrl"`
	// Hosts are further hosts that may be called; see [httpcall.Config].
	Hosts []string `yaml:"hosts"`
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
	// Parallel is how many deletes of one step are under way at a time, 1 to
	// 256; 0 is 16. A policy bounds how many steps there are.
	Parallel int `yaml:"parallel"`
	// Kinds are the kinds of resources that the API holds, at least one, unless
	// there is Subscriptions.
	Kinds map[store.Kind]Kind `yaml:"kinds"`
	// Subscriptions asks for the active subscriptions of a tenant; nil does not.
	Subscriptions *Subscriptions `yaml:"subscriptions"`
	// Secrets are what the references in the calls stand for.
	Secrets httpcall.Secrets `config:"secrets"`
}

// Subscriptions is how the active subscriptions of a tenant are counted: by the
// length of List or the value of Count, one of them. A tenant that has any is not
// purged, nor is one about which there is no answer.
type Subscriptions struct {
	List  *List  `yaml:"list"`
	Count *Count `yaml:"count"`
}

// Kind is how resources of one kind are found and removed: by List and Delete,
// or by Purge. They are counted by Count or, without it, by List.
type Kind struct {
	List   *List   `yaml:"list"`
	Count  *Count  `yaml:"count"`
	Delete *Delete `yaml:"delete"`
	Purge  *Purge  `yaml:"purge"`
}

// Call is a request with places to be filled in: {tenant}, {id}, {limit},
// {cursor}, {offset} and {page}. What is put into a path, a query, a header or
// a body is escaped as it needs to be there; {tenant|quoted} and {id|quoted} are
// for inside the double quotes of a filter language that escapes by backslash. So are
// the references of [Config.Secrets] in URL, Headers and Body, whose errors show them
// and not what they stand for.
type Call struct {
	// Method; "" is GET for List and Count, DELETE for Delete and Purge.
	Method string `yaml:"method"`
	// URL is a path with a query that goes behind the base URL, or absolute.
	URL     string            `yaml:"url" config:"template"`
	Headers map[string]string `yaml:"headers" config:"template"`
	// Body is JSON, or what ContentType says: application/json, "" for that, or
	// application/x-www-form-urlencoded.
	Body        string `yaml:"body" config:"template"`
	ContentType string `yaml:"contentType"`
}

// List finds the resources of a tenant.
type List struct {
	Call `yaml:",inline"`
	// Items is the gjson path of the array; "" is the whole answer.
	Items string `yaml:"items"`
	// ID is the gjson path of the id within an item; "" when the items are ids.
	ID string `yaml:"id"`
	// Owner is the gjson path, within an item, of the id of the tenant that it
	// belongs to. An item of another tenant is left alone, whatever the API took
	// the question for. It is needed when the URL, the headers and the body do
	// not name the tenant, and is wise in any case: without it nothing is removed
	// unless the API lists nothing for a tenant that cannot exist.
	Owner string `yaml:"owner"`
	// OwnerConfirmed says that somebody has made sure that Owner is right. Without
	// it, a list of everybody's in which not one item has an owner is an error
	// until one has been seen: a path that is wrong looks the same.
	OwnerConfirmed bool `yaml:"ownerConfirmed"`
	// Envelope is the gjson path of something that every sound answer has. With
	// it, the array may be missing when it is empty, as in APIs made with
	// Protocol Buffers.
	Envelope string `yaml:"envelope"`
	// NotFoundIsEmpty says that the API answers 404, with JSON, for a tenant that
	// it does not know. Without it 404 is an error: a mistake in the URL looks
	// the same.
	NotFoundIsEmpty bool   `yaml:"notFoundIsEmpty"`
	Paging          Paging `yaml:"paging"`
}

// The types of paging.
const (
	PagingNone   = "none"   // one answer has everything
	PagingLink   = "link"   // each page has the URL of the next one
	PagingCursor = "cursor" // each page has a cursor for the next one
	PagingOffset = "offset" // pages begin at a number of items
	PagingPage   = "page"   // pages are numbered
)

// Paging is how a list goes on.
type Paging struct {
	// Type is one of the constants; "" is [PagingNone].
	Type string `yaml:"type"`
	// Size is how many items a page is asked to have, 1 to 10,000; 0 is 100. The
	// API may give fewer.
	Size int `yaml:"size"`
	// SizeParam and Param are parameters that are added to the query, for the
	// size and for the cursor, offset or number of the page. "" adds none;
	// then {limit} and {cursor}, {offset} or {page} do it. A first page has no
	// cursor.
	SizeParam string `yaml:"sizeParam"`
	Param     string `yaml:"param"`
	// First is the first offset or page number, 0 or 1.
	First int `yaml:"first"`
	// Next is the gjson path of the cursor, or with [PagingLink] of the URL of
	// the next page instead of a Link header. Nothing, null, false and "" there
	// mean that there is none.
	Next string `yaml:"next"`
	// More is the gjson path of a boolean that says whether there is a next page.
	More string `yaml:"more"`
	// Max is how many items the API lets a list reach, of all owners; 0 is no
	// such limit. What is beyond comes up as the first ones are deleted. A count
	// needs Count then.
	Max int `yaml:"max"`
	// Total is the gjson path of the number of all items. Without it, a list by
	// offset or page number ends with an empty page.
	Total string `yaml:"total"`
}

// Count asks how many resources a tenant has.
type Count struct {
	Call `yaml:",inline"`
	// Value is the gjson path of the number; "" when the answer is the number.
	Value string `yaml:"value"`
	// FromHeader is the header that has the number, such as X-Total-Count, in
	// place of the body.
	FromHeader string `yaml:"fromHeader"`
	// NotFoundIsEmpty is as in [List].
	NotFoundIsEmpty bool `yaml:"notFoundIsEmpty"`
}

// Delete removes one resource. 404 and 410 say that it is gone already.
type Delete struct {
	Call `yaml:",inline"`
	// Repeat is how often the call is made for a resource, 1 to 3; 0 is 1. Okta
	// deactivates a user at the first call and deletes it at the second.
	Repeat int `yaml:"repeat"`
	// Expect is the gjson path of something in the answer that must be there and
	// neither false, null nor empty.
	Expect string `yaml:"expect"`
	// Accept is the media type of an answer that has a body; "" is JSON.
	Accept string `yaml:"accept"`
}

// Purge removes all resources of one kind of a tenant in one call, or up to
// {limit} of them. A call without {limit} may remove more than a step is meant
// to.
type Purge struct {
	Call `yaml:",inline"`
	// Deleted is the gjson path of the number removed. Without it they are
	// counted before and after, which is wrong if others remove some meanwhile.
	Deleted string `yaml:"deleted"`
}
