package postgrestarget

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// LedgerSQL returns the statements with which [Target.Init] creates a ledger,
// for an administrator who does it by hand. name is as in [Config.Ledger]; role
// is granted what purger needs of it, none for "". Errors: [store.Invalid].
func LedgerSQL(name, role string) (string, error) {
	if name == "" {
		name = defaultLedger
	}
	parts, err := parseName(name)
	if err != nil {
		return "", store.Errorf(store.Invalid, "ledger %q: %w", name, err).At("ledger")
	}
	sql := fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
  target text NOT NULL,
  purge text COLLATE "C" NOT NULL, -- as on the receipt
  kind text NOT NULL,
  deleted bigint NOT NULL, -- by all steps so far
  batch uuid NOT NULL, -- the last step
  batch_deleted bigint NOT NULL, -- by the last step
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (purge, kind, target)
);
`, parts.Sanitize())
	if role != "" {
		sql += fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON %s TO %s;\n", parts.Sanitize(), quote(role))
	}
	return sql, nil
}

// ledgerLock keeps two from creating the ledger at the same time, which IF NOT
// EXISTS does not.
const ledgerLock = 0x70757267 // "purg"

// Init implements [purge.Initializer]: it creates the ledger. That takes the
// right to create tables, which purger should not keep: an administrator may run
// [LedgerSQL] in its place, and is shown it by the error, [store.Forbidden], of a role
// without that right. A ledger that is there stays as it is.
func (t *Target) Init(ctx context.Context) error {
	sql, err := LedgerSQL(t.cfg.Ledger, "")
	if err != nil {
		return err
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	defer t.catalog.forget()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	found := &schema{}
	if err := t.findLedger(ctx, conn.Conn(), found); err != nil {
		return refused("look for the ledger", err)
	}
	if found.ledger != "" || found.impostor {
		return found.noLedger
	}
	err = pgx.BeginFunc(ctx, conn.Conn(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1), "+durable, int64(ledgerLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql)
		return err
	})
	if pg := asPgError(err); pg != nil && pg.Code == codeInsufficientPrivilege {
		var role string
		if err := conn.QueryRow(ctx, "SELECT current_user").Scan(&role); err != nil {
			return refused("look at the role", err)
		}
		if sql, err = LedgerSQL(t.cfg.Ledger, role); err != nil {
			return err
		}
		return store.Errorf(store.Forbidden, "create the ledger: %s; the owner of the schema may run:\n%s", describe(pg), sql)
	}
	if err != nil {
		return refused("create the ledger", err)
	}
	// It may have been there, and not for this role.
	if err := t.findLedger(ctx, conn.Conn(), found); err != nil {
		return refused("look for the ledger", err)
	}
	return found.noLedger
}

// noteSQL adds to the ledger what a query yields: target, purge, kind, how many
// rows, the batch, and how many rows again. Its parameters are those of
// [Target.note].
func noteSQL(ledger, query string) string {
	return fmt.Sprintf(`INSERT INTO %s AS l (target, purge, kind, deleted, batch, batch_deleted)
%s
ON CONFLICT (purge, kind, target) DO UPDATE SET deleted = l.deleted + excluded.deleted,
 batch = excluded.batch, batch_deleted = excluded.batch_deleted, updated_at = excluded.updated_at`, ledger, query)
}

// batch is what one transaction removes.
type batch struct {
	id     uuid.UUID
	ledger string // quoted; "" when there is none
	// apart: the statement does not write to the ledger by itself.
	apart bool
	// snapshot: all statements see the rows as they were at the first.
	snapshot bool
	// What it removed, known before COMMIT: how many rows, and of which kind and
	// purge some of them were.
	deleted int64
	kind    store.Kind
	purge   string
}

// account returns under what the ledger has the rows of a purge: its id. Rows
// that are removed for no purge have an account of their own.
func (b *batch) account(purge string) string {
	if purge == "" {
		return b.id.String()
	}
	return purge
}

// removed notes that a statement of the batch has removed rows.
func (b *batch) removed(kind store.Kind, purge string, n int64) {
	if n != 0 {
		b.kind, b.purge = kind, b.account(purge)
		b.deleted += n
	}
}

// note appends the arguments with which a removal writes to the ledger: target,
// kind, batch, and one account or several.
func (t *Target) note(args []any, kind store.Kind, b batch, accounts any) []any {
	if b.ledger == "" {
		return args
	}
	return append(args, t.cfg.Name, string(kind), b.id, accounts)
}

// noteApart writes to the ledger in a statement of its own.
func (t *Target) noteApart(ctx context.Context, conn *pgx.Conn, b batch) error {
	_, err := conn.Exec(ctx, noteSQL(b.ledger, "VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::uuid, $4::bigint)"),
		t.cfg.Name, b.purge, string(b.kind), b.deleted, b.id)
	return err
}
