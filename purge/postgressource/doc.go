// Package postgressource reads tenants from PostgreSQL by a query of the
// operator's own.
//
// The query yields a row for each tenant, in these columns; the first two are
// required, any other name is an error:
//
//	id                text, uuid or a number; unique
//	status            'active' or 'disabled'
//	parent            the parent's id; NULL for a root
//	name, host        NULL, or left out, where the source says nothing of them
//	disabled_at       timestamptz; required of a disabled tenant
//	purge_after_days  integer; NULL for the default grace period
//	purge_at          timestamptz, instead of purge_after_days
//
// A timestamp without a time zone is in UTC. What a row holds is checked row by
// row: one that makes no sense holds up no other.
//
// Who answers has to be a primary, unless the configuration says otherwise: a standby
// may not know yet of a reactivation. That is looked at in each transaction.
//
// A snapshot is read in one REPEATABLE READ READ ONLY transaction, through a
// cursor. A single tenant is read by the same query, as a subquery with a
// condition on id, and those right below it by one with a condition on parent; with
// an index on what each is made of, that takes as long as any other look-up. Every
// transaction is read-only, and needs no right but SELECT.
//
// Nothing is set for a session and no statement outlives its transaction: a pooler
// such as PgBouncer may stand before the database, in transaction mode, too.
//
// With a channel, the source also listens for notifications, for instance of
//
//	CREATE FUNCTION tenants_changed() RETURNS trigger LANGUAGE plpgsql AS
//	$$ BEGIN NOTIFY tenants_changed; RETURN NULL; END $$;
//	CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
//	FOR EACH STATEMENT EXECUTE FUNCTION tenants_changed();
//
// What a notification says is not looked at: it only sets off a snapshot. It takes
// a session of its own, which a pooler in transaction mode does not give: that is
// found out, by a notification that does not arrive, and said in the log and by
// [Source.Diagnose]. The source is then read on schedule alone.
//
// # Configuration
//
//	source:
//	  type: postgres
//	  dsn: ${credential:source-dsn}
//	  query: |
//	    SELECT id, parent_id AS parent, name, domain AS host,
//	           CASE WHEN disabled_at IS NULL THEN 'active' ELSE 'disabled' END AS status,
//	           disabled_at, purge_after_days
//	    FROM tenants WHERE deleted_at IS NULL
//	  channel: tenants_changed
//	  every: 5m
package postgressource
