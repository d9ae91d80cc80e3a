// Package client calls the HTTP API of a purger daemon: its [Client] has one
// method a call, and the types of this package are what is on the wire, for the
// server too.
//
// A platform's back end, the commands of purger itself and a test all use it, over
// whatever [http.RoundTripper] leads to a daemon: TCP with a bearer token, the Unix
// socket in its data directory, or a handler in the same process.
//
// It stands beside the engine, in a tree that others may import, since it speaks
// the engine's words: a [purge.Report] is the answer to a plan and to a pass, and an
// error of the store arrives as that error, with its code, field and cause.
package client
