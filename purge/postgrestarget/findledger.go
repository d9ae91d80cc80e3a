package postgrestarget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// ledgerColumns are those that [LedgerSQL] makes, with their types.
func ledgerColumns() []string {
	return []string{
		"target text", "purge text", "kind text", "deleted bigint", "batch uuid", "batch_deleted bigint",
		"updated_at timestamp with time zone",
	}
}

// What goes by the name of the ledger: its columns that the ledger has too, or
// that want a value, and whether an ON CONFLICT finds its key.
const ledgerQuery = `
SELECT n.nspname, c.relname, c.relkind IN ('r', 'p'), c.relpersistence = 'p', current_user,
       array(SELECT p FROM unnest('{SELECT,INSERT,UPDATE}'::text[]) p WHERE NOT pg_catalog.has_table_privilege(c.oid, p)),
       pg_catalog.row_security_active(c.oid),
       array(SELECT pg_catalog.format('%s %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (a.attname = ANY ($2::text[]) OR a.attnotnull AND NOT a.atthasdef AND a.attidentity = '')),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                 AND i.indpred IS NULL AND i.indexprs IS NULL AND '{kind,purge,target}' = array(
                   SELECT a.attname::text FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]) ORDER BY a.attname::text COLLATE "C"))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)`

// findLedger notes in s the ledger, or why there is none that can be used. An
// error is about the connection.
func (t *Target) findLedger(ctx context.Context, conn *pgx.Conn, s *schema) error {
	name, err := parseName(t.cfg.Ledger)
	if err != nil {
		return err
	}
	s.ledger, s.noLedger, s.impostor, s.ledgerFix = "", nil, false, ""
	columns := ledgerColumns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i], _, _ = strings.Cut(c, " ")
	}
	var schemaName, tableName, user string
	var isTable, lasting, policed, keyed bool
	var missing, found []string
	err = conn.QueryRow(ctx, ledgerQuery, name.Sanitize(), names).
		Scan(&schemaName, &tableName, &isTable, &lasting, &user, &missing, &policed, &found, &keyed)
	switch pg := asPgError(err); {
	case errors.Is(err, pgx.ErrNoRows):
		s.noLedger = noSuch(`there is no ledger %s: create it with "purger target init %s"`, name.Sanitize(), t.cfg.Name)
		return nil
	case pg != nil && pg.Code == codeInsufficientPrivilege: // the schema's
		s.noLedger = noSuch("the role may not use the ledger %s: %s", name.Sanitize(), describe(pg))
		return nil
	case err != nil:
		return err
	}
	ledger := pgx.Identifier{schemaName, tableName}.Sanitize()
	slices.Sort(columns)
	slices.Sort(found)
	switch {
	case !isTable, !keyed, !slices.Equal(columns, found):
		s.impostor = true
		s.noLedger = noSuch(`%s is not a ledger as "purger target init %s" makes it (%s): rename it, or give the ledger another name`,
			ledger, t.cfg.Name, difference(isTable, columns, found))
	case !lasting:
		s.impostor = true
		s.noLedger = noSuch("%s is no ledger while a crash of the server empties it", ledger)
		s.ledgerFix = fmt.Sprintf("ALTER TABLE %s SET LOGGED", ledger)
	case len(missing) > 0:
		s.noLedger = noSuch("the role may not use the ledger: GRANT %s ON %s TO %s", strings.Join(missing, ", "), ledger, quote(user))
	case policed:
		s.noLedger = noSuch("row-level security applies to the role in the ledger: ALTER TABLE %s DISABLE ROW LEVEL SECURITY", ledger)
	default:
		s.ledger = ledger
	}
	return nil
}

// difference says what keeps a table from being a ledger.
func difference(isTable bool, want, found []string) string {
	lacks := slices.DeleteFunc(slices.Clone(want), func(c string) bool { return slices.Contains(found, c) })
	wants := slices.DeleteFunc(slices.Clone(found), func(c string) bool { return slices.Contains(want, c) })
	switch {
	case !isTable:
		return "it is not a table"
	case len(lacks) > 0:
		return "it lacks " + strings.Join(lacks, ", ")
	case len(wants) > 0:
		return "it wants " + strings.Join(wants, ", ")
	}
	return "it lacks the key (purge, kind, target)"
}

// errOffAccount refuses a removal that would not be on account.
func (s *schema) errOffAccount() error {
	return store.Errorf(store.Precondition, "nothing is removed, since the purge is on account and would be counted wrong: %w", s.noLedger)
}
