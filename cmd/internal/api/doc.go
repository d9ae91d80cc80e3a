// Package api is purger's HTTP API: its wire types, the server over a
// [store.Store] and a [purge.Engine], the client that the commands use, the
// Unix socket between the two, and the operations endpoints.
//
// The API is JSON under /api/v1. A daemon serves it on the Unix socket
// [SocketName] in its data directory ([ListenUnix], [NewHTTPServer]); a command
// that finds no daemon opens the store itself and serves the same handler to
// the same [Client] inside its own process ([InProcess]).
//
// Who calls is decided by [Options].Authenticate alone: it turns a request into
// the [store.Actor] that the audit trail names. On the socket that is the uid of
// the peer, as the kernel tells it, and the mode of the socket says who may
// connect at all.
//
// # Guarantees kept here
//
//   - G4, nothing else: an id is taken from a path as one segment, unescaped
//     once and checked before anything is done with it, and no other form of it
//     reaches the store.
//   - G7, acknowledged means durable: an answer is written only after the store
//     returned; a stream that breaks off is an error at the client, never a
//     short success.
package api
