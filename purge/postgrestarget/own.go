package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tenantpurge/purger/store"
)

// describeOwn lets PostgreSQL parse the operator's statements, and checks what
// they take and return. Nothing is run.
func describeOwn(ctx context.Context, conn *pgx.Conn, k Kind) (*own, error) {
	o := &own{count: k.Count, remove: k.Delete}
	count, err := describeStatement(ctx, conn, k.Count)
	if err != nil {
		return nil, err
	}
	if o.countType, err = tenantOf("count", count); err != nil {
		return nil, err
	}
	if !oneNumber(count.Fields) {
		return nil, store.Errorf(store.Invalid, "count: want a statement that returns one column, a number")
	}
	remove, err := describeStatement(ctx, conn, k.Delete)
	if err != nil {
		return nil, err
	}
	if o.delType, err = tenantOf("delete", remove); err != nil {
		return nil, err
	}
	o.limited = len(remove.ParamOIDs) > 1
	return o, nil
}

// describeStatement parses a statement under no name, and keeps none.
func describeStatement(ctx context.Context, conn *pgx.Conn, sql string) (*pgconn.StatementDescription, error) {
	return conn.PgConn().Prepare(ctx, "", sql, nil)
}

// tenantOf returns the type of $1.
func tenantOf(which string, d *pgconn.StatementDescription) (columnType, error) {
	if len(d.ParamOIDs) == 0 {
		return columnType{}, store.Errorf(store.Invalid, "%s: PostgreSQL finds no $1 in it", which)
	}
	typ, ok := typeOf(d.ParamOIDs[0])
	if !ok {
		return columnType{}, store.Errorf(store.Invalid,
			"%s: PostgreSQL gives $1 a type that no tenant's id has; want text, varchar, uuid or an integer, as in $1::text", which)
	}
	typ.place = "$1 of " + which
	return typ, nil
}

func oneNumber(fields []pgconn.FieldDescription) bool {
	if len(fields) != 1 {
		return false
	}
	switch fields[0].DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return true
	}
	return false
}

// errNoNumber refuses a statement that does not tell what it did.
var errNoNumber = store.Errorf(store.Precondition, "the statement returned no number of removed rows; want one row with one number, 0 or more")

// affected returns how many rows a statement says to have removed.
func affected(rows pgx.Rows) (int64, error) {
	if err := rows.Err(); err != nil {
		return 0, err // there are no descriptions
	}
	var n *int64
	seen := 0
	number := oneNumber(rows.FieldDescriptions())
	for rows.Next() {
		if seen++; seen > 1 || !number {
			continue
		}
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	tag := rows.CommandTag()
	switch {
	case !tag.Select():
		return tag.RowsAffected(), nil
	case seen != 1 || n == nil || *n < 0:
		return 0, errNoNumber
	}
	return *n, nil
}
