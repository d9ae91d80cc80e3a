package postgrestarget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// errUnknown says that nobody can tell what became of a COMMIT.
var errUnknown = errors.New("the answer to COMMIT was lost")

// How long the ledger is asked, and how often.
const (
	inquiry      = 20 * time.Second
	inquiryPause = 100 * time.Millisecond
	inquiryMax   = 2 * time.Second
)

// committed finds out whether a batch was committed whose COMMIT was sent. The
// transaction of the batch holds its row in the ledger for as long as it may
// still be committed, and the question waits for that.
func (t *Target) committed(ctx context.Context, b batch) (bool, error) {
	if b.ledger == "" {
		return false, errUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, inquiry)
	defer cancel()
	for pause := inquiryPause; ; pause = min(2*pause, inquiryMax) {
		found, err := t.askLedger(ctx, b)
		if err == nil {
			return found, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, fmt.Errorf("%w, and the ledger cannot be asked: %s", errUnknown, plain(err))
		}
	}
}

// askLedger reads the last batch of a purge and kind. A plain SELECT would not
// see, and not wait for, a row that is being inserted; an INSERT does. It is
// rolled back.
func (t *Target) askLedger(ctx context.Context, b batch) (bool, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	defer rollback(conn)
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	queue := &pgx.Batch{}
	t.begin(queue, false)
	var last uuid.UUID
	queue.Queue(fmt.Sprintf(`INSERT INTO %s AS l (target, purge, kind, deleted, batch, batch_deleted)
VALUES ($1, $2, $3, 0, $4::uuid, 0)
ON CONFLICT (purge, kind, target) DO UPDATE SET deleted = l.deleted RETURNING l.batch`, b.ledger),
		t.cfg.Name, b.purge, string(b.kind), uuid.Nil).QueryRow(func(row pgx.Row) error { return row.Scan(&last) })
	err = conn.SendBatch(ctx, queue).Close()
	return last == b.id, err
}
