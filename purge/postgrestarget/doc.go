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
// Identifiers are quoted and values are parameters, always. Ids are compared byte by
// byte. An id that the type of the tenant column cannot hold is an error: that nobody
// could be asked about is no proof that there is nothing (G6). Where only some tenants
// are in a database, foreignIds: none says that the others have nothing there. An id
// that PostgreSQL would take for another spelling of the same value, such as a UUID in
// upper case or the number 007, is refused, too: whose rows these are cannot be told
// (G4).
//
// Rows of other tables may go along with those that are deleted, by ON DELETE CASCADE.
// Before each deletion from a table with such a key, unless the key contains the tenant
// column on both sides, purger counts the rows of other tenants that would, and with any
// it removes nothing and names the key (G4). Whose a row is the tenant column tells that
// is configured, or the one that a key equates with it, or the one of the same name and
// type. It cannot tell of a table without one, of tables that the role may not read, of
// rows in a circle of such keys, and of rows that are added between the count and the
// deletion, within milliseconds, or in the midst of a tenant with many steps up to 30 s;
// [Target.Diagnose] names the keys. What statements of the operator's own take along is
// not looked at.
//
// Where rows of a table refer to rows of the same table, and that refuses a deletion, a
// tenant that takes more than one step loses those first that none refers to.
//
// Statements of the operator's own are tried before they remove anything: for a tenant
// that does not exist, in a transaction that is rolled back, they must count nothing and
// remove nothing. And each transaction with one counts before and after it in the same
// snapshot: a removal by which the count does not fall is rolled back (G4). In the midst
// of many steps, and where counts take too long, it is the last count that bounds what
// may go.
//
// Row-level security is an error here: rows that a policy hides would be counted
// as gone (G6). The role needs BYPASSRLS where a table has policies.
//
// # What it counts
//
// A COMMIT is answered once it is on disk, and on that of a synchronous standby, whatever
// synchronous_commit is for the role, the database or the server (G7).
//
// What a step removed is known before its COMMIT is sent, and that nothing was
// removed when it was not sent. When the answer to COMMIT is lost, the ledger
// tells what became of it: a table that each step writes to in its own
// transaction, see [Target.Init]. Without the ledger, or when the server does
// not come back in time, the error says that the answer was lost, and the
// engine marks the counts as a lower bound (G5). A purge that was begun with the
// ledger is not gone on with while it is away: nothing is removed off account.
//
// # Errors
//
// What is told of PostgreSQL's errors has no value of a row in it: no detail, nothing that
// is quoted from data, and nothing that a trigger or a function of the application has
// worded; of that there is the SQLSTATE and the function.
//
// # Poolers
//
// A pooler that hands connections to others between transactions may stand before
// the database, such as PgBouncer with pool_mode=transaction. It is found out by the
// process that answers, which is not the one that introduced itself, and then no
// statement is prepared. Nothing is set for the session, ever: time-outs and all else
// are set in each transaction, and each makes sure that a primary answers. With
// default_query_exec_mode in the DSN the operator decides, for instance on
// cache_statement where PgBouncer knows of prepared statements, as since 1.21 with
// max_prepared_statements above 0. With pool_mode=statement nothing is removed, and the
// error names the mode.
package postgrestarget
