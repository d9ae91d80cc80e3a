package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of purging a database.
const (
	mostScript = 1.5
	mostLoop   = 1.0 / 3
	loopRounds = 2 // half a minute each, and far from the limit
)

// postgres purges trees of tenants in PostgreSQL, by turns with a plain script
// and with a loop, and then one tenant with many users.
func (b *bench) postgres(ctx context.Context) error {
	d, err := startDatabase(b.disk)
	if err != nil {
		return err
	}
	defer d.server.Close()
	if err := b.postgresTrees(ctx, d); err != nil {
		return err
	}
	return b.postgresGiant(ctx, d)
}

// postgresTrees compares, on copies of one database.
func (b *bench) postgresTrees(ctx context.Context, d *database) error {
	l := tenantsOf(b.sizes.sqlRoots)
	from, err := b.store(ctx, "tenants", l)
	if err != nil {
		return err
	}
	tenants := l.tenants()
	rows := int64(len(tenants) * rowsPerTenant)
	err = d.make(ctx, "trees", statement{fillUsers, []any{tenants}}, statement{sql: fillCredentials}, statement{sql: fillAPIKeys},
		statement{fillMoreAPIKeys, []any{tenants}}, statement{fillClients, []any{tenants}})
	if err != nil {
		return err
	}
	plainly := func(how func(context.Context, *pgx.Conn, []string) (time.Duration, error)) func(string) (time.Duration, error) {
		return func(name string) (took time.Duration, err error) {
			err = d.with(ctx, name, func(c *pgx.Conn) error {
				took, err = how(ctx, c, tenants)
				return err
			})
			return took, err
		}
	}
	through := func(name string) (took time.Duration, err error) {
		err = b.throughTarget(ctx, d, from, name, func(s *boltstore.Store, g guard) error {
			began := time.Now()
			err := pass(ctx, s, rows, g)
			took = time.Since(began)
			return err
		})
		return took, err
	}
	sides := []struct {
		name   string
		rounds int
		run    func(name string) (time.Duration, error)
	}{{"pass", b.slow, through}, {"script", b.slow, plainly(script)}, {"loop", min(b.slow, loopRounds), plainly(loop)}}
	took := map[string][]time.Duration{}
	for round := range b.slow {
		for i := range sides {
			side := sides[(round+i)%len(sides)]
			if round >= side.rounds {
				continue
			}
			err := d.copied(ctx, "trees", rows, func(name string) error {
				t, err := side.run(name)
				took[side.name] = append(took[side.name], t)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
		}
	}
	ofScript, ofLoop := ratios(took["pass"], took["script"]), ratios(took["pass"], took["loop"])
	purged := median(took["pass"])
	b.table.note("postgres: resources in trees of 6 tenants", float64(rows), "%.0f", "rows")
	b.table.took("postgres: purged by a pass, with counts, verification and evidence", purged)
	b.table.note("postgres: that is", float64(rows)/purged.Seconds(), "%.0f", "/s")
	b.table.took(fmt.Sprintf("postgres: plain SQL, %d tenants a statement", scriptTenants), median(took["script"]))
	b.table.took("postgres: plain SQL, tenant by tenant", median(took["loop"]))
	b.table.atMost("postgres: the pass against the plain script", median(ofScript), mostScript, "%.2f", "x")
	b.table.atMost("postgres: the pass against tenant by tenant", median(ofLoop), mostLoop, "%.2f", "x")
	return nil
}

// postgresGiant purges one tenant with many users.
func (b *bench) postgresGiant(ctx context.Context, d *database) error {
	l := &lines{prefix: "giant", roots: 1, due: true}
	from, err := b.store(ctx, "giant tenant", l)
	if err != nil {
		return err
	}
	const beside = 1_000
	err = d.make(ctx, "giant", statement{fillGiant, []any{l.id(0), b.sizes.users}}, statement{fillGiant, []any{l.id(1), beside}})
	if err != nil {
		return err
	}
	var took time.Duration
	var peak, live uint64
	err = d.copied(ctx, "giant", beside, func(name string) error {
		return b.throughTarget(ctx, d, from, name, func(s *boltstore.Store, g guard) (err error) {
			began := time.Now()
			peak, live, err = heapPeak(func() error { return pass(ctx, s, b.sizes.users, g) })
			took = time.Since(began)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("one tenant: %w", err)
	}
	b.table.note("postgres: one tenant", float64(b.sizes.users), "%.0f", "users")
	b.table.took("postgres: one tenant, purged", took)
	b.table.atMost("postgres: one tenant, peak of the heap", mib(peak), mostHeap, "%.0f", "MiB")
	b.table.note("postgres: one tenant, of it live", mib(live), "%.0f", "MiB")
	return nil
}

// throughTarget runs fn with a fresh copy of a store and with a target on a
// database.
func (b *bench) throughTarget(ctx context.Context, d *database, from, name string, fn func(*boltstore.Store, guard) error) error {
	return b.with(ctx, from, true, func(s *boltstore.Store) error {
		return d.target(ctx, name, func(g guard) error { return fn(s, g) })
	})
}
