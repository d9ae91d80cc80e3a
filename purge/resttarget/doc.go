// Package resttarget purges what a REST API holds. The configuration says how
// the API lists, counts and deletes; nothing in here knows a particular one.
//
//	targets:
//	  - name: directory
//	    type: rest
//	    baseUrl: https://directory.example.com
//	    auth:
//	      bearer: ${credential:directory-token}
//	    parallel: 16
//	    kinds:
//	      user:
//	        list:
//	          url: /v1/users?tenant={tenant}
//	          items: users
//	          id: id
//	          owner: tenantId
//	          paging: {type: cursor, param: after, sizeParam: limit, size: 200, next: page.next}
//	        delete:
//	          url: /v1/users/{id}
//	      apiKey:
//	        count: {url: "/v1/tenants/{tenant}/keys/count", value: count}
//	        purge: {url: "/v1/tenants/{tenant}/keys?limit={limit}", deleted: removed}
//
// With "subscriptions" the API also supplies the number of active subscriptions of
// a tenant, which keep it from being purged: the length of a list, or a number.
//
//	subscriptions:
//	  list: {url: "/v1/subscriptions?tenant={tenant}&status=active", items: data, id: id}
//
// The keys are those of [Config], and the files under deploy/targets show
// complete ones.
//
// Only the tenant's own resources are touched (G4): ids are escaped for the
// place that they are put into, an id that cannot be told to the API without
// loss is refused, an item that belongs to another tenant is left alone, and no
// host is called that is not configured, whatever the links of a page say.
//
// Where only the API's filter keeps others out, as in a list without an owner and in a
// purge of all at once, it is tried with a tenant that cannot exist before the first
// removal, and nothing is removed when the API has something for that one.
//
// A 429 in the midst of a list, or 503 with Retry-After, is waited for there (see
// [httpcall.Patience]): a list that begins again each time may never end.
//
// Absence is never taken for consent: a redirect, an answer that is not JSON, a
// list without its array, an item without its id, and 404 for a list (unless
// the API is known to do that) are errors, not zero.
//
// Nor is a list taken for empty that may have moved, that says that there is more,
// or in which nobody has an owner (G6).
//
// Counts are exact (G5): a resource counts once, also when an API answers a second
// delete like the first and goes on listing it. One that is listed for long after it
// was deleted is an error: the API deletes softly, or its index lags behind.
// An answer that was lost is an error with the code [store.Internal], see
// [purge.Target]: 503, 408 and a redirect are among them, since a gateway answers so
// after the effect, too, and 429 is not. A question whose answer was lost is not, for
// it changed nothing.
//
// Errors show the URL as it is configured, with {id} and a hash of the id.
package resttarget
