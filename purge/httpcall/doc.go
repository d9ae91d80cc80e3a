// Package httpcall makes the HTTP calls of targets and sources: authenticated,
// bounded in time and size, and to configured hosts alone.
//
// What holds for every call of a [Client]:
//
//   - It goes to an origin (scheme, host and port) of the configuration, or
//     nowhere, whatever a link in an answer says. Redirects are not followed.
//   - An error never shows the query, the user info, a header or the body of the
//     request, nor anything that was answered: they may hold secrets, or what
//     is to be forgotten. An id that stands in the path is hidden by
//     [Request.Shown] and [Request.Of].
//   - Under a [purge.Policy] with a rate it waits until it may be sent.
//   - An error tells whether the answer was lost, in the way in which
//     [github.com/tenantpurge/purger/purge.Target] wants to know it; see [Error].
//
// [Escape], [PathSegment], [Quoted] and [JSONString] put opaque data into URLs
// and bodies. [JSON] takes an answer for JSON only if it says so and is.
package httpcall
