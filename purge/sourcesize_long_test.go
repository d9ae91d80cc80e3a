//go:build long

package purge_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// crowd is a source of many tenants, which it makes up. One in ten is below
// another, which comes later.
type crowd struct {
	*directory
	n int
	// off is how many are disabled.
	off int
}

func (c *crowd) Tenants(_ context.Context, yield func(purge.SourceRow) error) error {
	for i := range c.n {
		r := on(fmt.Sprintf("tenant-%08d", i), "")
		if i%10 == 0 && i+1 < c.n {
			r.Tenant.ParentID = fmt.Sprintf("tenant-%08d", i+1)
		}
		if i < c.off {
			r.Tenant.Status, r.Tenant.PurgeAfterDays = store.StatusDisabled, graceDays
			r.Tenant.DisabledAt = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
		}
		name := r.Tenant.ID + " and a name of usual length"
		r.Tenant.Name = &name
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// peak returns the largest heap, in bytes, while fn runs, beyond what there was.
func peak(fn func()) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	before := heap()
	var most atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most.Store(max(most.Load(), heap()))
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	fn()
	close(stop)
	<-done
	return most.Load() - before
}

func TestSync_MemoryDoesNotGrowWithTheTenants(t *testing.T) {
	const most = 192 << 20
	s := newStore(t)
	c := &crowd{directory: &directory{}, n: 600_000}
	sy := newSyncer(t, s, c)
	step := func(what string, want store.SyncCounts) {
		t.Helper()
		began := time.Now()
		var r store.Sync
		heap := peak(func() { r = synced(t, sy, store.SyncGood) })
		t.Logf("%s: %d tenants in %s, %d MiB of heap", what, c.n, time.Since(began).Round(time.Millisecond), heap>>20)
		if r.Counts != want {
			t.Errorf("%s: counts %+v; want %+v", what, r.Counts, want)
		}
		if heap > most {
			t.Errorf("%s took %d MiB of heap, want at most %d", what, heap>>20, most>>20)
		}
	}
	n := int64(c.n)
	step("the first sync", store.SyncCounts{Rows: n, New: n})
	step("nothing new", store.SyncCounts{Rows: n, Kept: n, Unchanged: n})
	c.off = 20_000
	due := int64(20_000)
	step("20,000 disabled", store.SyncCounts{Rows: n, Kept: n, Unchanged: n - due, Disabled: due, Due: due})
}
