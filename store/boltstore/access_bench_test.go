package boltstore

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// accessID is an id as long as a UUID.
func accessID(i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761&0xffffffff, i)
}

func accessHost(i int) string { return fmt.Sprintf("tenant-%07d.example", i) }

// plantForest imports n active tenants in trees of ten, in three generations,
// each tenant with a host name.
func plantForest(b *testing.B, s *Store, n int) {
	b.Helper()
	for i := 0; i < n; {
		var batch store.Batch
		for end := min(i+5000, n); i < end; i++ {
			t := store.Tenant{ID: accessID(i), Hostname: accessHost(i), Name: "Tenant", Status: store.StatusActive}
			switch root := i - i%10; {
			case i == root:
			case i < root+4:
				t.ParentID = accessID(root)
			default:
				t.ParentID = accessID(root + 1 + i%3)
			}
			batch.Tenants = append(batch.Tenants, t)
		}
		if _, err := s.ImportBatch(context.Background(), batch, at(epoch)); err != nil {
			b.Fatal(err)
		}
	}
}

// plantWide imports a tree of n tenants, all of them below its root.
func plantWide(b *testing.B, s *Store, root string, n int) {
	b.Helper()
	batch := store.Batch{Tenants: []store.Tenant{{ID: root, Status: store.StatusActive}}}
	for i := range n {
		batch.Tenants = append(batch.Tenants, store.Tenant{ID: fmt.Sprintf("%s-%07d", root, i), ParentID: root, Status: store.StatusActive})
	}
	if _, err := s.ImportBatch(context.Background(), batch, at(epoch)); err != nil {
		b.Fatal(err)
	}
}

func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkAccess reads from all processors: by id, and by host name in another
// case.
func BenchmarkAccess(b *testing.B) {
	const tenants = 1_000_000
	s := bench(b, b.TempDir())
	plantForest(b, s, tenants)
	if err := s.LoadAccess(context.Background()); err != nil {
		b.Fatal(err)
	}
	ids, hosts := make([]string, tenants), make([]string, tenants)
	for i := range tenants {
		ids[i], hosts[i] = accessID(i), strings.ToUpper(accessHost(i))
	}
	var next atomic.Int64
	read := func(b *testing.B, ask func(i int) (store.Access, error)) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := int(next.Add(1)) * 7919; pb.Next(); i += 104729 {
				if a, err := ask(i % tenants); err != nil || !a.Allowed {
					b.Error(a, err)
					return
				}
			}
		})
	}
	b.Run("id", func(b *testing.B) {
		read(b, func(i int) (store.Access, error) { return s.Access(ids[i]) })
	})
	b.Run("host", func(b *testing.B) {
		read(b, func(i int) (store.Access, error) { return s.AccessByHost(hosts[i]) })
	})
}

// BenchmarkAccess_DuringPurge reads without pause while a tree of 60,000 tenants
// is imported, disabled, claimed and purged.
func BenchmarkAccess_DuringPurge(b *testing.B) {
	const tenants = 100_000
	s := bench(b, b.TempDir())
	plantForest(b, s, tenants)
	if err := s.LoadAccess(context.Background()); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	b.ResetTimer()
	for i := range b.N {
		var done atomic.Bool
		go func() {
			defer done.Store(true)
			root := fmt.Sprint("wide-", i)
			plantWide(b, s, root, 60_000)
			purgeWide(b, s, root)
		}()
		for k := 0; !done.Load(); k += 7919 {
			id := accessID(k % tenants)
			began := time.Now()
			if a, err := s.Access(id); err != nil || !a.Allowed {
				b.Fatal(a, err)
			}
			took = append(took, time.Since(began))
		}
	}
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "reads/s")
	slices.Sort(took)
	b.ReportMetric(percentile(took, 0.99), "p99-us")
	b.ReportMetric(percentile(took, 0.9999), "p99.99-us")
	b.ReportMetric(percentile(took, 1), "slowest-us")
}

// percentile returns a quantile of sorted durations, in microseconds.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(float64(len(sorted)-1)*p)].Microseconds())
}

// purgeWide disables a tree and purges it step by step.
func purgeWide(b *testing.B, s *Store, root string) {
	b.Helper()
	ctx := context.Background()
	if _, err := s.Update(ctx, root, store.Update{Origin: at(epoch), Change: store.Deactivate(10, store.Grace{}, nil)}); err != nil {
		b.Error(err)
		return
	}
	c, err := s.Claim(ctx, root, request(false))
	if err != nil {
		b.Error(err)
		return
	}
	for more := true; more; {
		e, err := s.Erase(ctx, c.Token, dueAt, time.Minute)
		if err != nil {
			b.Error(err)
			return
		}
		more = e.More
	}
	if _, err := s.Finish(ctx, c.Token, store.Verification{At: dueAt}); err != nil {
		b.Error(err)
	}
}

// BenchmarkAccess_Deep reads at the bottom of a chain, and of a host name that
// many tenants share.
func BenchmarkAccess_Deep(b *testing.B) {
	for _, n := range []int{10, 1000, 12_000, store.MaxDepth} {
		s := bench(b, b.TempDir())
		var batch store.Batch
		for i := range n {
			t := store.Tenant{ID: accessID(i), Hostname: "shared.example", Status: store.StatusActive}
			if i > 0 {
				t.ParentID = accessID(i - 1)
			}
			batch.Tenants = append(batch.Tenants, t, store.Tenant{ID: fmt.Sprint("root-", i), Hostname: "roots.example", Status: store.StatusActive})
		}
		if _, err := s.ImportBatch(context.Background(), batch, at(epoch)); err != nil {
			b.Fatal(err)
		}
		if err := s.LoadAccess(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("depth=%d", n), func(b *testing.B) {
			for b.Loop() {
				if a, err := s.Access(accessID(n - 1)); err != nil || !a.Allowed {
					b.Fatal(a, err)
				}
			}
		})
		b.Run(fmt.Sprintf("sharers=%d", n), func(b *testing.B) {
			for b.Loop() {
				if a, err := s.AccessByHost("roots.example"); err != nil || !a.Allowed {
					b.Fatal(a, err)
				}
			}
		})
	}
}

// BenchmarkLoadAccess loads a million tenants and tells what they take, with
// and without host names.
func BenchmarkLoadAccess(b *testing.B) {
	const tenants = 1_000_000
	dir := b.TempDir()
	s := bench(b, dir)
	plantForest(b, s, tenants)
	for b.Loop() {
		s.accessReady.Store(nil)
		if err := s.exclusive(func() error { s.access = nil; return nil }); err != nil {
			b.Fatal(err)
		}
		before := heapInUse()
		began := time.Now()
		if err := s.LoadAccess(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "load-ms")
		b.ReportMetric((heapInUse()-before)/tenants, "bytes/tenant")
		x := s.accessReady.Load()
		x.hosts = nil
		b.ReportMetric((heapInUse()-before)/tenants, "bytes/tenant-without-hosts")
	}
}
