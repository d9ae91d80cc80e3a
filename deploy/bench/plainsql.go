package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// How much a plain program removes at a time.
const (
	scriptTenants = 400   // a statement: 60 and 160 take longer, 1,200 no less
	loopRows      = 1_000 // a statement
)

// plain counts, removes, and counts again, and returns how long that took. Each
// statement commits.
func plain(count func(table string) (int64, error), remove func(table string) error) (time.Duration, error) {
	began := time.Now()
	for _, kind := range store.Kinds() {
		if _, err := count(tableOf(kind)); err != nil {
			return 0, err
		}
	}
	for _, kind := range store.Kinds() {
		if err := remove(tableOf(kind)); err != nil {
			return 0, err
		}
	}
	for _, kind := range store.Kinds() {
		n, err := count(tableOf(kind))
		if err == nil && n != 0 {
			err = fmt.Errorf("%d rows of %s are left", n, tableOf(kind))
		}
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// script is what a careful person would run once: few statements for many
// tenants.
func script(ctx context.Context, c *pgx.Conn, tenants []string) (time.Duration, error) {
	return plain(func(table string) (n int64, err error) {
		err = c.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE tenant_id = ANY($1)", tenants).Scan(&n)
		return n, err
	}, func(table string) error {
		for some := range slices.Chunk(tenants, scriptTenants) {
			if _, err := c.Exec(ctx, "DELETE FROM "+table+" WHERE tenant_id = ANY($1)", some); err != nil {
				return err
			}
		}
		return nil
	})
}

// loop is what a program without further thought does: tenant by tenant and kind
// by kind.
func loop(ctx context.Context, c *pgx.Conn, tenants []string) (time.Duration, error) {
	return plain(func(table string) (sum int64, err error) {
		for _, id := range tenants {
			var n int64
			if err := c.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", id).Scan(&n); err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}, func(table string) error {
		for _, id := range tenants {
			for more := true; more; {
				tag, err := c.Exec(ctx, "DELETE FROM "+table+" WHERE id IN (SELECT id FROM "+table+" WHERE tenant_id = $1 LIMIT $2)", id, loopRows)
				if err != nil {
					return err
				}
				more = tag.RowsAffected() == loopRows
			}
		}
		return nil
	})
}
