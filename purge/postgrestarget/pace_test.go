package postgrestarget_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// slowed returns a target on users that take long to delete, each seconds long,
// and what changes that.
func slowed(t *testing.T, timeout time.Duration, seconds float64, config func(*postgrestarget.Config)) (b *bench, pace func(seconds float64)) {
	t.Helper()
	b = setUp{config: func(c *postgrestarget.Config) {
		if c.StatementTimeout = timeout; config != nil {
			config(c)
		}
	}}.make(t)
	b.server.Exec(t, b.db, `CREATE TABLE pace (seconds float8); INSERT INTO pace VALUES (0);
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep((SELECT seconds FROM pace)); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slow()`)
	pace = func(seconds float64) {
		t.Helper()
		b.server.Exec(t, b.db, "UPDATE pace SET seconds = $1", seconds)
	}
	pace(seconds)
	return b, pace
}

// patiently purges within a time, and reports whether that made progress.
func (b *bench) patiently(tb testing.TB, patience time.Duration, r purge.Request) (purge.Removed, bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	did, err := b.Purge(ctx, r)
	if err != nil {
		if wantCode(tb, err, store.Unavailable); did != (purge.Removed{}) {
			tb.Errorf("Purge = %+v, %v; want a time-out to have no effect", did, err)
		}
		return did, false
	}
	return did, true
}

// TestPurge_RowsThatAreSlowToDeleteGoInSmallerSteps: no call has the time for all
// of a tenant's rows, and yet they go.
func TestPurge_RowsThatAreSlowToDeleteGoInSmallerSteps(t *testing.T) {
	for name, config := range map[string]func(*postgrestarget.Config){"Table": nil, "Own": ownStatements} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows, timeout = 100, 500 * time.Millisecond
			b, _ := slowed(t, timeout, 0.02, config)
			b.add(t, "acme", store.KindUser, rows)
			r := users("acme", 5000)
			r.PurgeID = "purge-of-acme"
			sum, failed := int64(0), 0
			for more := true; more; {
				did, ok := b.patiently(t, timeout+timeout/5, r)
				sum += did.Deleted
				if more = !ok || did.More; !ok {
					if failed++; failed == 5 {
						t.Fatalf("%d attempts made no progress, %d rows are gone", failed, sum)
					}
				}
			}
			account, err := b.Account(t.Context(), r.PurgeID)
			if left := b.left(t, "acme", store.KindUser); left != 0 || sum != rows || err != nil || account.Of(store.KindUser) != rows {
				t.Errorf("%d are left, %d were reported, %+v, %v are on account; want 0, %d and %d", left, sum, account, err, rows, rows)
			}
		})
	}
}

// TestPurge_StepsGrowAgain once rows are quick.
func TestPurge_StepsGrowAgain(t *testing.T) {
	for name, config := range map[string]func(*postgrestarget.Config){"Table": nil, "Own": ownStatements} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, pace := slowed(t, time.Second, 0.05, config)
			b.add(t, "acme", store.KindUser, 300)
			b.wantStep(t, users("acme", 64), 8, true)
			b.wantStep(t, users("acme", 64), 8, true)
			pace(0)
			for _, n := range []int64{8, 16, 32, 64, 64} {
				b.wantStep(t, users("acme", 64), n, true)
			}
		})
	}
}

// TestPurge_CancelledAndLockedRowsAreNotSlow: the states are alike.
func TestPurge_CancelledAndLockedRowsAreNotSlow(t *testing.T) {
	b, pace := slowed(t, 20*time.Second, 1, nil)
	b.add(t, "acme", store.KindUser, 16)
	if did, ok := b.patiently(t, 200*time.Millisecond, users("acme", 16)); ok {
		t.Errorf("Purge = %+v in too short a time", did)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.wantRefusal(t, users("acme", 16), store.Unavailable)
	}()
	b.await(t, "an administrator cancels it", `SELECT count(pg_cancel_backend(pid))::int FROM pg_stat_activity
WHERE datname = current_database() AND wait_event = 'PgSleep'`)
	<-done
	pace(0)
	b.holding(t, "SELECT FROM users WHERE tenant_id = 'acme' FOR UPDATE", func(func()) {
		b.wantRefusal(t, users("acme", 16), store.Unavailable)
	})
	b.wantStep(t, users("acme", 16), 16, false)
}

// TestPurge_WhatIsSlowForManyIsDoneInSmallerGroups: together they take longer
// than a statement may, each by itself does not.
func TestPurge_WhatIsSlowForManyIsDoneInSmallerGroups(t *testing.T) {
	const tenants, rows, timeout, tries = 32, 10, 500 * time.Millisecond, 6
	b, _ := slowed(t, timeout, 0.006, nil)
	for i := range tenants {
		b.add(t, fmt.Sprint("t", i), store.KindUser, rows)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	byTry := map[int]int{}
	for i := range tenants {
		wg.Go(func() {
			for try := 1; try <= tries; try++ {
				if did, ok := b.patiently(t, timeout+timeout/5, users(fmt.Sprint("t", i), 5000)); ok {
					if did.Deleted != rows || did.More {
						t.Errorf("t%d: %+v", i, did)
					}
					mu.Lock()
					byTry[try]++
					mu.Unlock()
					return
				}
			}
			t.Errorf("t%d: %d attempts failed", i, tries)
		})
	}
	wg.Wait()
	t.Logf("tenants by the attempt that succeeded: %v", byTry)
}

// TestPurge_G11_OneThatIsSlowIsSoonAlone: others share its time-out once or
// twice, and then no more.
func TestPurge_G11_OneThatIsSlowIsSoonAlone(t *testing.T) {
	const tenants, timeout = 40, 500 * time.Millisecond
	b, _ := slowed(t, timeout, 0, nil)
	b.server.Exec(t, b.db, `CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.tenant_id = 'slow' THEN PERFORM pg_sleep(0.6); END IF; RETURN OLD; END $$`)
	b.add(t, "slow", store.KindUser, 1)
	var wg sync.WaitGroup
	for round := range 6 {
		failed := 0
		var mu sync.Mutex
		name := func(i int) string { return fmt.Sprintf("r%d-t%d", round, i) }
		for i := range tenants {
			b.add(t, name(i), store.KindUser, 1)
		}
		b.holding(t, "LOCK TABLE users IN EXCLUSIVE MODE", func(commit func()) {
			wg.Go(func() { b.patiently(t, timeout+timeout/5, users("slow", 5000)) })
			for i := range tenants {
				wg.Go(func() {
					if _, ok := b.patiently(t, timeout+timeout/5, users(name(i), 5000)); !ok {
						mu.Lock()
						failed++
						mu.Unlock()
					}
				})
			}
			commit()
		})
		wg.Wait()
		t.Logf("round %d: %d of %d failed", round, failed, tenants)
		if round == 5 && failed > 0 {
			t.Errorf("%d tenants still fail for one that is slow", failed)
		}
	}
}
