package postgrestarget

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

var _ purge.SubscriptionCounter = (*Target)(nil)

// counter is the operator's statement for subscriptions, as PostgreSQL understands
// it, or err, which tells why it does not.
type counter struct {
	typ columnType // of $1
	err error
}

// subscriptionProblem returns what is wrong with the statement; "" for nothing, and
// for no statement.
func (c Config) subscriptionProblem() string {
	switch sql := c.Subscriptions; {
	case sql == "":
	case strings.TrimSpace(sql) == "":
		return "is blank; want a statement that returns one number, with $1 for the tenant"
	case strings.ContainsRune(sql, 0):
		return "has a NUL byte"
	case !tenantParameter.MatchString(sql):
		return "has no $1; want it where the tenant's id belongs"
	case limitParameter.MatchString(sql), otherParameter.MatchString(sql):
		return "has a parameter too many; want $1 for the tenant and no other"
	}
	return ""
}

// describeSubscriptions lets PostgreSQL parse the statement, and checks what it
// takes and returns. Nothing is run.
func describeSubscriptions(ctx context.Context, conn *pgx.Conn, sql string) (columnType, error) {
	d, err := describeStatement(ctx, conn, sql)
	if err != nil {
		return columnType{}, err
	}
	typ, err := tenantOf("subscriptions", d)
	if err == nil && !oneNumber(d.Fields) {
		err = store.Errorf(store.Invalid, "subscriptions: want a statement that returns one column, a number such as count(*)")
	}
	return typ, err
}

// CountsSubscriptions implements [purge.SubscriptionCounter].
func (t *Target) CountsSubscriptions() bool { return t.cfg.Subscriptions != "" }

// ActiveSubscriptions implements [purge.SubscriptionCounter] by the statement of the
// operator's own, in a transaction that reads only. An id that the type of $1 cannot
// hold is an error: that nobody was asked about is not that there are none.
func (t *Target) ActiveSubscriptions(ctx context.Context, tenantID string) (int64, error) {
	switch {
	case t.closed.Load():
		return 0, store.Errorf(store.Unavailable, "target %s is closed", t.cfg.Name)
	case !t.CountsSubscriptions():
		return 0, store.Errorf(store.Invalid, "target %s has no statement for subscriptions", t.cfg.Name)
	}
	s, err := t.schema(ctx)
	if err != nil {
		return 0, err
	}
	if s.subscriptions.err != nil {
		return 0, t.advised(s.subscriptions.err)
	}
	if fits, err := s.subscriptions.typ.fits(tenantID); err != nil {
		return 0, err
	} else if !fits {
		return 0, s.subscriptions.typ.unfit()
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	n, err := t.askSubscriptions(ctx, conn.Conn(), s.subscriptions.typ, tenantID)
	t.learn(conn, err)
	return n, t.ifForbidden(refused("subscriptions", err))
}

// askSubscriptions runs the statement for an id that fits. Its error may be the
// server's.
func (t *Target) askSubscriptions(ctx context.Context, conn *pgx.Conn, typ columnType, id string) (n int64, err error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	b := &pgx.Batch{}
	t.settings(b, true)
	b.Queue(t.cfg.Subscriptions, typ.value(id)).Query(func(rows pgx.Rows) error {
		n, err = onlyNumber("subscriptions", rows)
		return err
	})
	err = conn.SendBatch(ctx, b).Close()
	return n, err
}

// unfit refuses an id that the type cannot hold.
func (c columnType) unfit() error {
	if c.sql == "text" {
		return store.Errorf(store.Precondition, "subscriptions: the tenant's id is not a text that PostgreSQL can hold")
	}
	return store.Errorf(store.Precondition,
		"subscriptions: $1 of the statement is of type %s, and the tenant's id is no value of it: cast it, as in $1::text", c.sql)
}

// onlyNumber returns the number in the one row that there must be. Anything else
// is no answer, and not 0. what names the statement in errors.
func onlyNumber(what string, rows pgx.Rows) (int64, error) {
	var n *int64
	seen := 0
	for rows.Next() {
		if seen++; seen > 1 {
			continue
		}
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	const want = "want one row with one number, 0 or more"
	switch {
	case seen != 1:
		return 0, store.Errorf(store.Precondition, "%s: the statement returned %d rows; %s", what, seen, want)
	case n == nil:
		return 0, store.Errorf(store.Precondition, "%s: the statement returned NULL; %s", what, want)
	case *n < 0:
		return 0, store.Errorf(store.Precondition, "%s: the statement returned %d; %s", what, *n, want)
	}
	return *n, nil
}
