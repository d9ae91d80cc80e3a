//go:build long

package postgrestarget_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_AMillionUsersInFlatMemory purges a giant tenant, once with an index
// on the key and once without.
func TestPurge_AMillionUsersInFlatMemory(t *testing.T) {
	for _, kind := range []store.Kind{store.KindUser, store.KindCredential} {
		b := setUp{}.make(t)
		const n, limit = 1_000_000, 5_000
		b.add(t, "giant", kind, n)
		b.add(t, "neighbour", kind, 1_000)
		b.server.Exec(t, b.db, "ANALYZE "+tableOf(kind))
		if got, err := b.Count(t.Context(), "giant", kind); got != n || err != nil {
			t.Fatalf("Count = %d, %v", got, err)
		}
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before, most, sum := heap(), uint64(0), int64(0)
		var slowest time.Duration
		began := time.Now()
		for steps := 0; ; steps++ {
			at := time.Now()
			did, err := b.Purge(t.Context(), purge.Request{TenantID: "giant", Kind: kind, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(at))
			if steps%20 == 0 {
				most = max(most, heap())
			}
			if sum += did.Deleted; !did.More {
				break
			}
		}
		t.Logf("%s: %d rows in %s, the slowest step %s, heap %d KiB before, %d KiB at most", kind, sum, time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond), before>>10, most>>10)
		if sum != n {
			t.Errorf("%d were removed, want %d", sum, n)
		}
		if most > before+8<<20 {
			t.Errorf("the heap grew from %d to %d bytes", before, most)
		}
		if left := b.left(t, "neighbour", kind); left != 1_000 {
			t.Errorf("the neighbour has %d", left)
		}
	}
}

// TestPurge_G5_ExactThroughKilledServers kills the server at random instants,
// and cuts answers to COMMIT, while many tenants are purged. With the ledger what
// was reported must be what is gone, unless an error said that it is not known.
func TestPurge_G5_ExactThroughKilledServers(t *testing.T) {
	server := pgtest.Start(t)
	proxy := pgtest.NewProxy(t, server.Addr())
	b := setUp{server: server, through: proxy}.make(t)
	const rounds, tenants, rows = 15, 24, 60
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	unknown := 0
	for round := range rounds {
		name := func(i int) string { return fmt.Sprintf("r%d-t%d", round, i) }
		for i := range tenants {
			b.add(t, name(i), store.KindUser, rows)
		}
		if round%3 == 0 {
			proxy.CutAnswerTo("COMMIT\x00")
		}
		var reported, lost atomic.Int64
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		for i := range tenants {
			wg.Go(func() {
				pause := time.NewTicker(20 * time.Millisecond)
				defer pause.Stop()
				for ; ctx.Err() == nil; <-pause.C {
					did, err := b.Purge(ctx, purge.Request{TenantID: name(i), PurgeID: name(i), Kind: store.KindUser, Limit: 7})
					reported.Add(did.Deleted)
					if err != nil && store.CodeOf(err) == store.Internal {
						lost.Add(1)
					}
					if err == nil && !did.More {
						return
					}
				}
			})
		}
		if round%3 != 0 {
			timer := time.NewTimer(time.Duration(chance.IntN(400)) * time.Millisecond)
			<-timer.C
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
		cancel()
		left := server.Int(t, b.db, "SELECT count(*) FROM users")
		noted := server.Int(t, b.db, "SELECT coalesce(sum(deleted), 0) FROM purger_ledger WHERE purge LIKE 'r'||$1::int||'-%'", round)
		if left != 0 || noted != tenants*rows {
			t.Errorf("round %d: %d are left, the ledger has %d; want 0 and %d", round, left, noted, tenants*rows)
		}
		got := reported.Load()
		if lost.Load() == 0 && got != tenants*rows || got > tenants*rows {
			t.Errorf("round %d: %d were reported, %d answers were said to be lost; %d are gone", round, got, lost.Load(), tenants*rows)
		}
		if lost.Load() > 0 {
			unknown++
		}
	}
	t.Logf("%d kills and %d cuts; in %d rounds an answer stayed unknown", rounds-rounds/3, proxy.Cuts(), unknown)
}
