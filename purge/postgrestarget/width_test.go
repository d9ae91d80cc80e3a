package postgrestarget_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// counting lets a database count the statements that delete, with effect or
// without.
func (b *bench) counting(tb testing.TB) func() int64 {
	tb.Helper()
	b.server.Exec(tb, b.db, `CREATE SEQUENCE statements;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('statements'); RETURN NULL; END $$`)
	for _, kind := range store.Kinds() {
		b.server.Exec(tb, b.db, "CREATE TRIGGER note AFTER DELETE ON "+tableOf(kind)+" FOR EACH STATEMENT EXECUTE FUNCTION note()")
	}
	seen := int64(0)
	return func() int64 {
		n := b.server.Int(tb, b.db, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM statements")
		defer func() { seen = n }()
		return n - seen
	}
}

// together purges n tenants of each kind at the same time.
func (b *bench) together(tb testing.TB, n, limit int, name func(i int) string) {
	tb.Helper()
	var wg sync.WaitGroup
	for i := range n {
		for _, kind := range store.Kinds() {
			wg.Go(func() {
				if did, err := b.Purge(tb.Context(), purge.Request{TenantID: name(i), Kind: kind, Limit: limit}); err != nil || did.More {
					tb.Errorf("Purge(%s, %s) = %+v, %v", name(i), kind, did, err)
				}
			})
		}
	}
	wg.Wait()
}

// TestPurge_OneGiantDoesNotMakeGroupsSmall: each round begins a new giant, and
// goes on with those before it, while many small tenants are purged.
func TestPurge_OneGiantDoesNotMakeGroupsSmall(t *testing.T) {
	b := setUp{}.make(t)
	const tenants, limit, rounds = 100, 50, 5
	statements := b.counting(t)
	// The first one has little company, that says even less of the others.
	b.add(t, "giant", store.KindUser, 10*limit)
	var wg sync.WaitGroup
	for _, id := range []string{"giant", "small", "smaller"} {
		wg.Go(func() {
			if _, err := b.Purge(t.Context(), users(id, limit)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for round := range rounds {
		name := func(i int) string { return fmt.Sprintf("r%d-t%d", round, i) }
		for _, kind := range store.Kinds() {
			b.server.Exec(t, b.db, "INSERT INTO "+tableOf(kind)+" (tenant_id) SELECT format('r%s-t%s', $1::int, g) FROM generate_series(0, $2) g", round, tenants-1)
		}
		b.add(t, fmt.Sprint("giant", round), store.KindUser, 10*limit)
		for giant := range round + 1 {
			wg.Go(func() { b.wantStep(t, users(fmt.Sprint("giant", giant), limit), limit, true) })
		}
		wg.Go(func() { b.together(t, tenants, limit, name) })
		wg.Wait()
		n := statements()
		t.Logf("round %d: %d statements for %d calls", round, n, tenants*len(store.Kinds()))
		if n > 60 {
			t.Errorf("%d statements for %d calls", n, tenants*len(store.Kinds()))
		}
	}
}

// TestPurge_GroupsLearnHowManyFit: tenants that are all alike are soon no more
// in a group than fit, and no fewer once they are smaller.
func TestPurge_GroupsLearnHowManyFit(t *testing.T) {
	b := setUp{}.make(t)
	const tenants, limit = 120, 120
	statements := b.counting(t)
	for round, c := range []struct{ rows, most int64 }{{20, 200}, {20, 100}, {20, 50}, {1, 50}, {1, 50}, {1, 50}, {1, 50}, {1, 15}} {
		name := func(i int) string { return fmt.Sprintf("r%d-t%d", round, i) }
		b.server.Exec(t, b.db, "INSERT INTO users (tenant_id) SELECT format('r%s-t%s', $1::int, g) FROM generate_series(0, $2) g, generate_series(1, $3)",
			round, tenants-1, c.rows)
		b.together(t, tenants, limit, name)
		n := statements()
		t.Logf("round %d: %d statements, at least %d for the users", round, n, max(tenants*c.rows/limit, 1))
		if n > c.most {
			t.Errorf("round %d: %d statements for %d calls, want %d at most", round, n, tenants*len(store.Kinds()), c.most)
		}
	}
}
