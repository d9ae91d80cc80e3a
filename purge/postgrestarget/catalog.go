package postgrestarget

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// catalogAge is how long what is known of the tables is trusted. A ledger that
// is created, or an index, is noticed after that.
const catalogAge = time.Minute

// catalog remembers what the tables are like.
type catalog struct {
	turn chan struct{} // holds one: who looks at them

	mu     sync.Mutex
	known  *schema
	loaded time.Time
	age    int // how often it was told to forget
}

// schema is what the database has of what is configured.
type schema struct {
	sources       map[store.Kind]*source
	subscriptions counter // zero without a statement
	ledger        string  // quoted; "" when there is none that can be used
	noLedger      error   // then: why not
	impostor      bool    // then: the table of its name is no ledger
	ledgerFix     string  // then: what makes it one, if anything does
}

// source is where the resources of one kind are. Either table or own is set, or
// err, which tells why there is neither.
type source struct {
	table *table
	own   *own
	err   error
	// foreign: a tenant whose id does not fit has nothing here.
	foreign bool
}

// table is a table as the catalog describes it, its names quoted.
type table struct {
	oid    uint32
	name   string // with its schema
	tenant string
	num    int16 // of the tenant column
	typ    columnType
	// whole: a row's ctid names it. It does not where a table has partitions or
	// children.
	whole bool
	key   []keyColumn
	// ordered: an index begins with the tenant column and goes on with the key.
	ordered bool
	// What hangs on its rows, and what keeps rows of other tenants from going along.
	foreign []*foreignKey
	guards  []guard
	// selfCascade: rows of its own go along with those that they refer to.
	selfCascade bool
	// Its keys to itself that refuse a deletion.
	selfs []selfReference
	// unfollowed: there are more ways from table to table than guards.
	unfollowed bool
}

// keyColumn is a part of the key.
type keyColumn struct{ name, typ string }

// own are statements of the operator's, as PostgreSQL understands them.
type own struct {
	count, remove      string
	countType, delType columnType
	limited            bool // delete has $2
}

// forget makes the next use look again.
func (c *catalog) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nil
	c.age++
}

// get returns what is known, nil when that is nothing or too old, and the age.
func (c *catalog) get() (*schema, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil && time.Since(c.loaded) < catalogAge {
		return c.known, c.age
	}
	return nil, c.age
}

// set notes what was seen, unless it was to be forgotten meanwhile.
func (c *catalog) set(s *schema, age int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.age == age {
		c.known, c.loaded = s, time.Now()
	}
}

// schema returns what the tables are like, as of a minute ago at most. An error
// is about the connection; what is wrong with one kind is in its source.
func (t *Target) schema(ctx context.Context) (*schema, error) {
	c := &t.catalog
	if s, _ := c.get(); s != nil {
		return s, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, refused("look at the tables", ctx.Err())
	}
	s, age := c.get()
	if s != nil {
		return s, nil
	}
	s, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	// What is wrong may be mended at any time.
	wrong := s.subscriptions.err != nil || s.impostor ||
		slices.ContainsFunc(t.kinds, func(k store.Kind) bool { return s.sources[k].err != nil })
	if !wrong {
		c.set(s, age)
	}
	return s, nil
}

// schemaAnew is [Target.schema], as of now.
func (t *Target) schemaAnew(ctx context.Context) (*schema, error) {
	t.catalog.forget()
	return t.schema(ctx)
}

func (t *Target) load(ctx context.Context) (*schema, error) {
	conn, err := t.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	s := &schema{sources: map[store.Kind]*source{}}
	if err := t.findLedger(ctx, conn.Conn(), s); err != nil {
		return nil, refused("look for the ledger", err)
	}
	for _, kind := range t.kinds {
		k := t.cfg.Kinds[kind]
		src := &source{foreign: k.ForeignIDs == foreignNone}
		if k.Table != "" {
			src.table, src.err = describeTable(ctx, conn.Conn(), k)
		} else {
			src.own, src.err = describeOwn(ctx, conn.Conn(), k)
		}
		if src.err != nil && asPgError(src.err) == nil && store.CodeOf(src.err) == store.Internal {
			return nil, refused("look at the tables", src.err)
		}
		if src.err != nil {
			src.err = refused("look at "+string(kind), src.err)
		}
		s.sources[kind] = src
	}
	if err := t.findForeignKeys(ctx, conn.Conn(), s); err != nil {
		return nil, refused("look at the foreign keys", err)
	}
	if t.CountsSubscriptions() {
		typ, err := describeSubscriptions(ctx, conn.Conn(), t.cfg.Subscriptions)
		if err != nil && asPgError(err) == nil && store.CodeOf(err) == store.Internal {
			return nil, refused("look at the tables", err)
		}
		s.subscriptions = counter{typ, refused("look at subscriptions", err)}
	}
	return s, nil
}

// findForeignKeys notes what hangs on the rows of each table.
func (t *Target) findForeignKeys(ctx context.Context, conn *pgx.Conn, s *schema) error {
	known := map[uint32]tenantColumn{}
	for _, kind := range t.kinds {
		if tbl := s.sources[kind].table; tbl != nil {
			known[tbl.oid] = tenantColumn{tbl.num, tbl.tenant}
		}
	}
	for _, kind := range t.kinds {
		if tbl := s.sources[kind].table; tbl != nil && s.sources[kind].err == nil {
			if err := describeForeignKeys(ctx, conn, tbl, known); err != nil {
				return err
			}
		}
	}
	return nil
}

// noSuch says that something configured is not there. An operator may mend it.
func noSuch(format string, args ...any) error {
	return store.Errorf(store.Precondition, format, args...)
}
