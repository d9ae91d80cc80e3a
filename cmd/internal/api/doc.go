// Package api is the server of purger's HTTP API, over a [store.Store] and a
// [purge.Engine], with the Unix socket and the operations endpoints. Its client,
// and what is on the wire, is package client.
//
// The API is JSON under /api/v1. A daemon serves it on the Unix socket
// [client.SocketName] in its data directory ([ListenUnix], [NewHTTPServer]); a
// command that finds no daemon opens the store itself and serves the same handler
// to the same client inside its own process ([InProcess]).
//
// Who calls is decided by [Options].Authenticate alone: it turns a request into a
// [Caller], the actor that the audit trail names and its role. On the socket that
// is the user at the other end, as the kernel tells it ([Peers]), and the mode of
// the socket says who may connect at all.
//
// Some calls are those that platforms know from APIs that others have published,
// and are held against them byte for byte (testdata/contract). There the published
// form counts, also where it says the same as a member of purger's own.
//
// A refusal tells no more than its caller may know: who calls is asked before
// everything else (401), then what the caller may do (403), and only then what is
// there. A stranger takes no place that a caller could have ([Limits]), and a tenant's
// own caller is told of its tenant without the names and reasons of its operators.
//
// Every request of the API has one line in the log: at info, or at error for a
// defect, with route, status, trace id and the ids of caller and tenant; never a
// body, a query, a token or a path. Questions to the [Gate] are an exception, as
// gateways ask one for each request of each user: they are lines at debug, at warn for
// a failure, and all counted in purger_http_requests_total with the route /access. So
// are scrapes and probes of the operations endpoints.
//
// # Guarantees kept here
//
//   - G2, cancel wins: what a call was confirmed for, its version or host name, is
//     compared in the change itself, never before it.
//   - G4, nothing else: an id is taken from a path as one segment, unescaped
//     once and checked before anything is done with it, and no other form of it
//     reaches the store.
//   - G7, acknowledged means durable: an answer is written only after the store
//     returned; a stream that breaks off is an error at the client, never a
//     short success.
package api
