// Package oauthtarget removes the OAuth clients of a tenant by dynamic client
// registration management (RFC 7592).
//
// Each client has a registration URI and a registration access token of its own.
// A [Registry] knows them: [OpenRegistry] reads a file, [FromDirectory] the data of
// the store's own resources. It is asked anew by every count and every step, so that
// plan, removal and verification see a client that was registered meanwhile (G6).
//
// A client that the registry does not list is not the tenant's: to take one off is
// how an operator says that it is not to be removed, or has been by somebody else.
// Not so one that a DELETE was sent to, of which it is not known what it did. The
// journal has what it takes to ask for that client, listed or not, and its tenant
// does not count as empty before it is gone. If it stays, it may have been given to
// another tenant: it is not removed, and is an error until it is listed again, or
// somebody removes it at the server.
//
// A server answers 401 for a client that is gone, and for a token that is bad. So
// before the first DELETE of a client its token has to prove good: a GET must show
// the client. Then a [Journal] durably says that a DELETE is being sent. 401 and
// 404 mean gone only where the journal says so, of the token that the registry still
// has; else they are an error that an operator has to mend, by a good token or by
// taking the client off the registry. Neither counts when it is the page of a proxy.
// The answer to the DELETE takes back what the journal says only when it means that
// nothing was done; 503, 408 and a redirect do not: a gateway answers so after the
// effect, too. What remains: a token that is revoked, its client staying, between a
// DELETE that was lost and the next attempt is taken for a client that is gone.
//
// A server may give out another token with every GET. The newest is kept in the
// journal before it is used, since the one before it is no longer good. A token that
// is changed in the registry is newer than that. If an answer with a token were lost
// after a DELETE, the next 401 would be to the one before it. So a client of such a
// server that a DELETE was sent to is not asked for while the registry lists it: it
// counts as one that is there, and the next DELETE finds out. One that is not listed
// has to be asked for, and the journal says so first; without the answer a 401 is an
// error until the registry lists the client again, or has listed it and somebody takes
// it off whom the error has told to look.
//
// The journal names no client that is gone: what named it is in the file for up to ten
// minutes after that, or until it is closed, or, after a crash, opened.
//
// In the configuration:
//
//	type: oauth
//	name: login
//	baseUrl: https://login.example.com           # with hosts: where registration URIs may be
//	clients: "${file:/etc/purger/clients.jsonl}" # without it: the directory
//	parallel: 8
//
// It has one JSON object a line, with the members of RFC 7592, section 3, and the
// tenant; others are ignored:
//
//	{"tenant_id":"acme","client_id":"s6BhdRkqt3","registration_client_uri":"https://login.example.com/reg/s6BhdRkqt3","registration_access_token":"..."}
//
// Change it by putting another file in its place; so a daemon in a namespace has to
// see the directory, not the file alone. The file may also be a credential, for a
// registry that does not change: systemd makes a copy of those at the start, and a
// client that is registered later is not in it.
//
// In the directory, the data of a resource of kind oauthClient is that object
// without the tenant; its id is client_id where that is missing. A resource without
// registration_client_uri is not of an authorization server, and is passed over.
package oauthtarget
