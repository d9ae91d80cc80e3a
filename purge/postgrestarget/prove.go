package postgrestarget

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// proven remembers for which kinds the operator's statements were seen to leave
// nobody's rows alone. The zero value is ready.
type proven struct {
	mu    sync.Mutex
	kinds map[store.Kind]bool
}

func (p *proven) has(kind store.Kind) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kinds[kind]
}

func (p *proven) add(kind store.Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kinds == nil {
		p.kinds = map[store.Kind]bool{}
	}
	p.kinds[kind] = true
}

// prove returns an error unless the operator's statements heed the tenant: it tries
// them, once in a process, before they remove anything (G4). Statements that refuse
// every id that nobody has are believed: each removal is counted, too.
func (t *Target) prove(ctx context.Context, conn *lease, kind store.Kind, o *own) error {
	if t.proven.has(kind) {
		return nil
	}
	if err := t.tryOwn(ctx, conn, kind, o); err != nil && !aboutValue(err) {
		return refusedTry(kind, err)
	}
	t.proven.add(kind)
	return nil
}

func refusedTry(kind store.Kind, err error) error {
	return refused("try the statements of "+string(kind), err)
}

// tryOwn runs the operator's statements for a tenant that nobody is, in a transaction
// that is rolled back. They may count nothing and remove nothing. Its error may be the
// server's.
func (t *Target) tryOwn(ctx context.Context, conn *lease, kind store.Kind, o *own) error {
	counted, removed := o.countType.nobodies(), o.delType.nobodies()
	var err error
	for i := range max(len(counted), len(removed)) {
		if err = t.tryAs(ctx, conn, kind, o, counted[min(i, len(counted)-1)], removed[min(i, len(removed)-1)]); !aboutValue(err) {
			return err
		}
	}
	return err
}

func (t *Target) tryAs(ctx context.Context, conn *lease, kind store.Kind, o *own, counted, removed string) error {
	remove := []any{o.delType.value(removed)}
	if o.limited {
		remove = append(remove, int64(1))
	}
	const want = "want what belongs to the tenant $1 and nothing else"
	count := step{o.count, []any{o.countType.value(counted)}, func(rows pgx.Rows) error {
		n, err := onlyNumber("count "+string(kind), rows)
		if err == nil && n != 0 {
			err = store.Errorf(store.Precondition, "count %s: counts %d for a tenant that does not exist, %q; %s", kind, n, counted, want)
		}
		return err
	}}
	removal := step{o.remove, remove, func(rows pgx.Rows) error {
		n, err := affected(rows)
		if err == nil && n != 0 {
			err = store.Errorf(store.Precondition, "delete %s: removes %d rows for a tenant that does not exist, %q, which was rolled back; %s", kind, n, removed, want)
		}
		return err
	}}
	b := &batch{id: uuid.New()}
	if out := t.transact(ctx, conn, b, count); out.err != nil {
		return out.err // delete is not tried in vain: it may take many locks
	}
	return t.transact(ctx, conn, b, removal).err
}

// aboutValue reports whether the server refused a value, such as a cast of $1.
func aboutValue(err error) bool {
	pg := asPgError(err)
	return pg != nil && (strings.HasPrefix(pg.Code, "22") || pg.Code == codeCheckViolation)
}

// nobodies returns ids that fit the type, and that no tenant has. A statement may cast
// a text to what it likes.
func (c columnType) nobodies() []string {
	const unlikely = "a5b8f0c3-6d1e-4f27-9c40-7e2d1b93f86a" // by chance; the nil UUID may stand for something
	switch {
	case c.bits > 0:
		return []string{strconv.FormatInt(1-1<<(c.bits-1), 10)}
	case c.sql == "uuid":
		return []string{unlikely}
	}
	return []string{"purger-probe", unlikely, "-32767"}
}

// nobody returns the first of them.
func (c columnType) nobody() string { return c.nobodies()[0] }
