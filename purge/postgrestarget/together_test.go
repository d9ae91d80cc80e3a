package postgrestarget_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_ManyTenantsShareTransactions lets calls gather behind a lock.
func TestPurge_ManyTenantsShareTransactions(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) { c.LockTimeout = 30 * time.Second }}.make(t)
	const tenants, rows = 60, 4
	for i := range tenants {
		b.add(t, fmt.Sprintf("t%d", i), store.KindUser, rows)
	}
	b.holding(t, "LOCK TABLE users IN EXCLUSIVE MODE", func(commit func()) {
		var wg sync.WaitGroup
		call := func(i int) {
			wg.Go(func() { b.wantStep(t, users(fmt.Sprintf("t%d", i), all), rows, false) })
		}
		call(0)
		b.waiting(t, 1)
		call(1)
		b.waiting(t, 2)
		for i := 2; i < tenants; i++ {
			call(i)
		}
		// Nothing tells that all are queued; those that are late form a group of
		// their own.
		commit()
		wg.Wait()
	})
	if n := b.server.Int(t, b.db, "SELECT sum(deleted) FROM purger_ledger"); n != tenants*rows {
		t.Errorf("the ledger has %d, want %d", n, tenants*rows)
	}
	if n := b.server.Int(t, b.db, "SELECT count(DISTINCT batch) FROM purger_ledger"); n > tenants/3 {
		t.Errorf("%d tenants took %d transactions", tenants, n)
	}
}

// TestPurge_GroupsKeepTheLimit has more rows in a group than it may remove.
func TestPurge_GroupsKeepTheLimit(t *testing.T) {
	b := setUp{}.make(t)
	const tenants, rows, limit = 30, 7, 10
	for i := range tenants {
		b.add(t, fmt.Sprintf("t%d", i), store.KindUser, rows)
		b.add(t, fmt.Sprintf("t%d", i), store.KindCredential, rows)
	}
	b.server.Exec(t, b.db, "CREATE TABLE steps (n bigint); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "+
		"$$ BEGIN INSERT INTO steps SELECT count(*) FROM gone; RETURN NULL; END $$;"+
		"CREATE TRIGGER note AFTER DELETE ON users REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note()")
	var wg sync.WaitGroup
	for i := range tenants {
		for _, kind := range []store.Kind{store.KindUser, store.KindCredential} {
			wg.Go(func() {
				sum := int64(0)
				for range rows + 1 {
					did, err := b.Purge(t.Context(), purge.Request{TenantID: fmt.Sprintf("t%d", i), Kind: kind, Limit: limit})
					if err != nil || did.Deleted == 0 && did.More {
						t.Errorf("Purge = %+v, %v", did, err)
					}
					if sum += did.Deleted; !did.More {
						break
					}
				}
				if sum != rows {
					t.Errorf("t%d: %d %s were removed, want %d", i, sum, kind, rows)
				}
			})
		}
	}
	wg.Wait()
	if n := b.server.Int(t, b.db, "SELECT max(n) FROM steps"); n > limit {
		t.Errorf("one transaction removed %d rows, want %d at most", n, limit)
	}
}

func TestPurge_WalkFindsRowsAddedBehindIt(t *testing.T) {
	b := setUp{}.make(t)
	credentials := purge.Request{TenantID: "acme", Kind: store.KindCredential, Limit: 10}
	b.add(t, "acme", store.KindCredential, 35)
	for range 3 {
		b.wantStep(t, credentials, 10, true)
	}
	b.server.Exec(t, b.db, "INSERT INTO credentials (id, tenant_id) OVERRIDING SYSTEM VALUE VALUES (-1, 'acme'), (-2, 'acme')")
	b.wantStep(t, credentials, 5, true)
	b.wantStep(t, credentials, 2, false)
	if left := b.left(t, "acme", store.KindCredential); left != 0 {
		t.Errorf("%d are left", left)
	}
	// A walk whose last step was a full one finds out in the same call that there
	// is nothing more.
	b.add(t, "acme", store.KindCredential, 20)
	b.wantStep(t, credentials, 10, true)
	b.wantStep(t, credentials, 10, true)
	b.wantStep(t, credentials, 0, false)
}

// TestPurge_DeletionsThatATriggerPreventsAreNotCounted: what was looked at is
// not what is gone.
func TestPurge_DeletionsThatATriggerPreventsAreNotCounted(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, b.db, `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.name = 'n1' THEN RETURN NULL; END IF; RETURN OLD; END $$;
CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep()`)
	b.add(t, "acme", store.KindUser, 5)
	b.wantStep(t, users("acme", all), 4, false)
	if n, err := b.Count(t.Context(), "acme", store.KindUser); n != 1 || err != nil {
		t.Errorf("Count = %d, %v; want the 1 that is kept", n, err)
	}
	b.wantStep(t, users("acme", 1), 0, false) // all that there is was tried
}
