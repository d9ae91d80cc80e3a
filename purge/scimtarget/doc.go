// Package scimtarget removes the users and groups of a tenant through SCIM 2.0
// (RFC 7643 and 7644).
//
// A tenant's resources are found by a filter, "ATTRIBUTE eq TENANT". A server may
// compare without case, misread a filter or ignore it. So every resource that is
// listed must show the attribute, and it is compared byte by byte: what differs
// in case alone is another tenant's and is left alone; anything else that is not
// the tenant's is an error, and nothing of that page is removed (G4).
//
// While removing, a list is read from its beginning again, since what follows
// moves up. Resources are removed by Bulk requests where ServiceProviderConfig
// offers them, within its limits, else one by one. One that is gone already (404)
// is a success that is not counted. One that is still listed after the server said
// that it was removed is waited for, counted once (G5), and an error when it stays. A
// server that has enough in the midst of a list (429, or 503 with Retry-After) is
// waited for, too ([httpcall.Patience]): a list that begins again may never end.
//
// That a filter finds nothing means something only if the resources have the
// attribute (G6): the server's schema or a resource has to show it, or the
// configuration to confirm it, unless the endpoint has no resource at all.
//
// In the configuration:
//
//	type: scim
//	name: directory
//	baseUrl: https://directory.example.com/scim/v2
//	auth: {bearer: "${credential:scim-token}"}
//	resources:                  # several of one kind are emptied in this order
//	  - kind: user
//	    endpoint: /Groups
//	    attribute: urn:ietf:params:scim:schemas:extension:acme:2.0:Tenancy:tenantId
//	  - kind: user
//	    endpoint: /Users
//	    attribute: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:organization
//	pageSize: 100
//	parallel: 8
//	bulk: auto                  # or never
package scimtarget
