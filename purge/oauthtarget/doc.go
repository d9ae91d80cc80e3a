// Package oauthtarget removes the OAuth clients of a tenant by dynamic client
// registration management (RFC 7592).
//
// Each client has a registration URI and a registration access token of its own.
// A [Registry] knows them: [ParseClients] reads a credential, [FromDirectory] the
// data of the store's own resources.
//
// A server answers 401 for a client that is gone, and for a token that is bad. So
// before the first DELETE of a client its token has to prove good: a GET must show
// the client. Then a [Journal] durably says that a DELETE is being sent. 401 and
// 404 mean gone only where the journal says so; else they are an error that an
// operator has to mend, by a good token or by taking the client off the registry.
// Neither counts when it is the page of a proxy. What remains: a token that is
// revoked, its client staying, between a DELETE that was lost and the next attempt
// is taken for a client that is gone.
//
// A server may give out another token with every GET. The newest is kept in the
// journal before it is used, since the one before it is no longer good.
//
// In the configuration:
//
//	kind: oauth
//	name: login
//	baseUrl: https://login.example.com     # with hosts: where registration URIs may be
//	clients: "${credential:oauth-clients}" # or directory
//	parallel: 8
//
// The credential has one JSON object a line, with the members of RFC 7592,
// section 3, and the tenant; others are ignored:
//
//	{"tenant_id":"acme","client_id":"s6BhdRkqt3","registration_client_uri":"https://login.example.com/reg/s6BhdRkqt3","registration_access_token":"..."}
//
// In the directory, the data of a resource of kind oauthClient is that object
// without the tenant; its id is client_id where that is missing. A resource without
// registration_client_uri is not of an authorization server, and is passed over.
package oauthtarget
