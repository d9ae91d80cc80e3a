// Package restsource reads tenants from a REST API that answers with JSON.
//
// A snapshot is a list, page by page; a single tenant is read by a URL of its
// own. Where in an answer things are is said by gjson paths, and what its
// statuses mean by their values. Anything else is an error, or, within a row, a
// row that is not understood: a page without its array, an HTML page with status
// 200, a page that comes twice, a list that is shorter than its total.
//
// An API that answers 429, or 503 with Retry-After, is asked again after that time, if
// there is so much; nobody else asks it meanwhile.
//
// A list that is read page by page while tenants come and go may lack one. That
// one is then marked as vanished until the next sync, and not purged for it.
//
// Where there is a URL for the children of a tenant, they are asked for right before
// it is purged; see [github.com/tenantpurge/purger/purge.ChildSource]. An answer with one that has another parent is
// none: the API does not know the parameter.
//
// # Configuration
//
//	source:
//	  type: rest
//	  baseUrl: https://api.example.com/v1
//	  auth: {bearer: "${credential:api-token}"}
//	  list:
//	    url: /tenants
//	    items: data
//	    total: meta.total
//	    paging: {type: cursor, next: meta.next, param: cursor, sizeParam: limit, size: 500}
//	  get:
//	    url: /tenants/{id}
//	  children:
//	    url: /tenants?parent={id}
//	    items: data
//	  fields:
//	    id: id
//	    parent: parentId
//	    name: name
//	    host: domain
//	    status: state
//	    disabledAt: suspendedAt
//	    purgeAfterDays: ""
//	    purgeAt: deleteAt
//	  active: [ACTIVE, TRIAL]
//	  disabled: [SUSPENDED]
//	  every: 5m
package restsource
