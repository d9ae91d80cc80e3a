package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// KeepsAccount implements [purge.Accountant]: with a ledger it does. A table of
// the ledger's name that is none is an error.
func (t *Target) KeepsAccount(ctx context.Context) (bool, error) {
	s, err := t.schema(ctx)
	if err != nil {
		return false, err
	}
	if s.impostor {
		return false, s.noLedger
	}
	return s.ledger != "", nil
}

// Account implements [purge.Accountant]: it asks the ledger, and without one it is an
// error. A purge that removed nothing has nothing there.
func (t *Target) Account(ctx context.Context, purgeID string) (store.Counts, error) {
	var sum store.Counts
	s, err := t.schema(ctx)
	if err == nil && s.ledger == "" {
		s, err = t.schemaAnew(ctx) // it may be back
	}
	if err != nil {
		return sum, err
	}
	if s.ledger == "" {
		return sum, s.noLedger
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		return sum, err
	}
	defer conn.Release()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	b := &pgx.Batch{}
	t.settings(b, true)
	b.Queue("SELECT kind, deleted FROM "+s.ledger+" WHERE target = $1 AND purge = $2", t.cfg.Name, purgeID).Query(func(rows pgx.Rows) error {
		var kind string
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&kind, &n}, func() error {
			k, err := store.ParseKind(kind)
			if err == nil {
				sum.Add(k, n)
			}
			return err
		})
		return err
	})
	err = conn.SendBatch(ctx, b).Close()
	t.learn(conn, err)
	return sum, refused("ask the ledger", err)
}
