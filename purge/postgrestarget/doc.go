// Package postgrestarget purges tables of a PostgreSQL database.
//
// For each kind of resource the configuration names a table with its tenant
// column, or two statements of the operator's own:
//
//	name: app
//	dsn: postgres://purger@db.example/app?sslmode=verify-full
//	kinds:
//	  user:        {table: users, tenant: tenant_id}
//	  apiKey:      {table: auth.api_keys, tenant: tenant_id, key: [id]}
//	  oauthClient:
//	    count:  SELECT count(*) FROM clients WHERE owner = $1
//	    delete: DELETE FROM clients WHERE id IN (SELECT id FROM clients WHERE owner = $1 LIMIT $2)
//
// With the statement "subscriptions" it also supplies the number of active
// subscriptions of a tenant, which keep it from being purged:
//
//	subscriptions: SELECT count(*) FROM subscriptions WHERE tenant = $1 AND ended IS NULL
//
// Needed is PostgreSQL 13 or newer, on its primary, and a role with SELECT and
// DELETE on those tables and no more. [Target.Diagnose] finds what is missing,
// what is too much, and what would be slow.
//
// # How it deletes
//
// Calls that wait at the same time are answered together: many small tenants
// cost one statement, one transaction and one commit. A tenant with more rows
// than one step may take is walked through in the order of its key, where an
// index on the tenant column and the key allows it. Every step is a transaction
// of its own, bounded by a statement, a lock and an idle time-out, that never
// waits for an answer of anything but PostgreSQL. When a shared statement is
// refused, because a row of one tenant is locked or still referenced, each
// tenant gets one of its own, and the others are not held up (G11). When one takes
// longer than its time-out, because rows are slow to delete, it is tried again in
// smaller groups, and then in smaller steps.
//
// Identifiers are quoted and values are parameters, always. Ids are compared
// byte by byte: an id that the type of the tenant column cannot hold has no
// rows. One that PostgreSQL would take for another spelling of the same value,
// such as a UUID in upper case or the number 007, is refused with an error:
// whose rows these are cannot be told (G4).
//
// Row-level security is an error here: rows that a policy hides would be counted
// as gone (G6). The role needs BYPASSRLS where a table has policies.
//
// # What it counts
//
// What a step removed is known before its COMMIT is sent, and that nothing was
// removed when it was not sent. When the answer to COMMIT is lost, the ledger
// tells what became of it: a table that each step writes to in its own
// transaction, see [Target.Init]. Without the ledger, or when the server does
// not come back in time, the error says that the answer was lost, and the
// engine marks the counts as a lower bound (G5). A purge that was begun with the
// ledger is not gone on with while it is away: nothing is removed off account.
//
// # Poolers
//
// A pooler that hands connections to others between transactions, such as
// PgBouncer with pool_mode=transaction, does with default_query_exec_mode=exec in
// the DSN: then no statement is prepared for later. Without it a pooler must know
// of prepared statements, as PgBouncer does since 1.21 with
// max_prepared_statements above 0. Everything else is set in each transaction,
// and nothing for the session.
package postgrestarget
