// Package ndjson fills a store from lines of JSON and writes a store as such.
//
// # Format
//
// One object a line, UTF-8, in any order: a tenant may come after its
// sub-tenants and its resources.
//
//	{"type":"tenant","id":"acme","parentId":"","name":"Acme Corporation",
//	 "hostname":"acme.eu.example.com","status":"disabled",
//	 "createdAt":"2024-03-01T09:00:00.000Z",
//	 "disabledAt":"2026-01-05T10:00:00.000Z","purgeAfterDays":30,
//	 "disabledBy":{"id":"u-7","name":"Ada","email":"ada@example.com"},
//	 "hold":{"reason":"litigation","until":"2027-01-01T00:00:00.000Z",
//	         "since":"2026-01-06T08:00:00.000Z","actor":{"id":"u-8"}},
//	 "activeSubscriptions":0}
//	{"type":"oauthClient","tenantId":"acme","id":"c-1","data":{}}
//
// (each on one line), and likewise "apiKey", "credential" and "user". Of a
// tenant, type, id and status are required, and disabledAt when the status is
// disabled; of a resource, type, tenantId and id. A disabled tenant has
// purgeAfterDays, or estimatedPurgeDate, or both if they agree. A hold without
// until has no end. An active tenant has reactivatedAt where a person reactivated
// it and a source has to say something newer before it is disabled. A status is active or
// disabled: what is being purged is neither exported nor imported.
//
// Nothing is repaired or guessed: an unknown member, one that is there twice, a
// null, a number for a string, a date that no calendar has, is refused.
//
// # Import
//
// [Import] reads the input once and writes nothing before all of it is found to
// be sound and has been compared with the store. Then it writes what is new in
// transactions of a bounded size, parents first. A record that is there already
// is left as it is; records of purged tenants are skipped. While that goes on
// the gate [store.GateImport] is closed, so that nothing is claimed of which a
// part is missing (G1); it stays closed after an interruption, until an import
// completes.
//
// Memory does not grow with the input, 11 bytes a tenant excepted: records are
// sorted in temporary files.
//
// # Export
//
// [Export] writes what [Import] reads. Importing an export into an empty store
// makes a store with the same export, byte for byte.
package ndjson
