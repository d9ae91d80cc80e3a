package boltstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// bench is a store for benchmarks; it is not checked.
func bench(b *testing.B, dir string) *Store {
	b.Helper()
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// plant imports trees of 6 tenants with 85 resources each, numbered from first
// to end, that are due at dueAt.
func plant(b *testing.B, s *Store, first, end int) {
	b.Helper()
	const perBatch = 20
	for i := first; i < end; i += perBatch {
		var batch store.Batch
		for r := i; r < min(i+perBatch, end); r++ {
			root := fmt.Sprintf("root-%07d", r)
			ids := []string{root}
			batch.Tenants = append(batch.Tenants, store.Tenant{
				ID: root, Name: "Tenant " + root, Status: store.StatusDisabled,
				DisabledAt: epoch, PurgeAfterDays: 10, EstimatedPurgeDate: dueAt,
			})
			for k := range 5 {
				id := fmt.Sprintf("%s-%d", root, k)
				ids = append(ids, id)
				batch.Tenants = append(batch.Tenants, store.Tenant{ID: id, ParentID: root, Name: "Tenant " + id, Status: store.StatusActive})
			}
			for k, n := range []int{5, 10, 20, 50} {
				for _, id := range ids {
					for x := range n {
						batch.Resources = append(batch.Resources, store.Resource{
							TenantID: id, Kind: store.Kinds()[k], ID: fmt.Sprintf("r-%04d", x), Data: []byte(`{"email":"someone@example.com"}`),
						})
					}
				}
			}
		}
		if _, err := s.ImportBatch(context.Background(), batch, at(epoch)); err != nil {
			b.Fatal(err)
		}
	}
}

// purgeTrees claims trees with many claims in flight, as a pass does.
func purgeTrees(b *testing.B, s *Store, first, end int) {
	b.Helper()
	next := atomic.Int64{}
	next.Store(int64(first))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= end {
					return
				}
				if c, err := s.Claim(context.Background(), fmt.Sprintf("root-%07d", i), request(true)); err != nil || c.Receipt == nil {
					b.Errorf("claim: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// deactivations runs clients that deactivate tenants of their own until stop
// says so, and returns how long each took.
func deactivations(b *testing.B, s *Store, clients int, stop func(n int64) bool) []time.Duration {
	b.Helper()
	var (
		mu  sync.Mutex
		all []time.Duration
		n   atomic.Int64
		wg  sync.WaitGroup
	)
	for c := range clients {
		id := fmt.Sprintf("client-%03d", c)
		if _, err := s.Create(context.Background(), store.Tenant{ID: id}, at(epoch)); err != nil && store.CodeOf(err) != store.Conflict {
			b.Fatal(err)
		}
		wg.Go(func() {
			var took []time.Duration
			for i := 0; !stop(n.Add(1)); i++ {
				began := time.Now()
				_, err := s.Update(context.Background(), id, store.Update{
					Origin: at(epoch.Add(time.Duration(i) * time.Millisecond)), Change: store.Deactivate(30, store.Grace{}, nil),
				})
				if err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all
}

func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(float64(len(sorted)-1)*p)].Microseconds())
}

// BenchmarkDeactivate shows how clients share the fsyncs of their changes.
func BenchmarkDeactivate(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := bench(b, b.TempDir())
			b.ResetTimer()
			took := deactivations(b, s, clients, func(n int64) bool { return n > int64(b.N) })
			b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(percentile(took, 0.99), "p99-us")
		})
	}
}

// BenchmarkDeactivate_DuringPurge measures both sides of the writer: one client
// at a time and 64, idle and beside a purge of 2,000 trees, and that purge alone
// and beside the clients.
func BenchmarkDeactivate_DuringPurge(b *testing.B) {
	const trees = 2000
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			var idle, busy []time.Duration
			var alone, beside time.Duration
			for range b.N {
				s := bench(b, b.TempDir())
				plant(b, s, 0, 2*trees)
				began := time.Now()
				purgeTrees(b, s, 0, trees)
				alone += time.Since(began)
				until := time.Now().Add(time.Second)
				idle = append(idle, deactivations(b, s, clients, func(int64) bool { return time.Now().After(until) })...)
				var done atomic.Bool
				go func() {
					defer done.Store(true)
					began := time.Now()
					purgeTrees(b, s, trees, 2*trees)
					beside += time.Since(began)
				}()
				busy = append(busy, deactivations(b, s, clients, func(int64) bool { return done.Load() })...)
			}
			slices.Sort(idle)
			slices.Sort(busy)
			b.ReportMetric(percentile(idle, 0.99), "idle-p99-us")
			b.ReportMetric(percentile(busy, 0.99), "busy-p99-us")
			b.ReportMetric(percentile(busy, 0.99)/percentile(idle, 0.99), "p99-ratio")
			b.ReportMetric(alone.Seconds()/beside.Seconds(), "purge-throughput-ratio")
			b.ReportMetric(float64(trees*510*b.N)/alone.Seconds(), "resources/s")
		})
	}
}

// BenchmarkNothingDue is what a pass asks the store when nothing is due, at two
// sizes of the store.
func BenchmarkNothingDue(b *testing.B) {
	for _, roots := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("tenants=%d", roots*10), func(b *testing.B) {
			s := bench(b, b.TempDir())
			for i := 0; i < roots; i += 500 {
				var batch store.Batch
				for r := i; r < i+500; r++ {
					root := fmt.Sprintf("root-%07d", r)
					batch.Tenants = append(batch.Tenants, store.Tenant{
						ID: root, Status: store.StatusDisabled, DisabledAt: epoch, PurgeAfterDays: 10, EstimatedPurgeDate: dueAt,
					})
					for k := range 9 {
						batch.Tenants = append(batch.Tenants, store.Tenant{ID: fmt.Sprintf("%s-%d", root, k), ParentID: root, Status: store.StatusActive})
					}
				}
				if _, err := s.ImportBatch(context.Background(), batch, at(epoch)); err != nil {
					b.Fatal(err)
				}
			}
			now := epoch.Add(time.Hour)
			for b.Loop() {
				if _, err := s.Gates(context.Background()); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Stats(context.Background(), now); err != nil {
					b.Fatal(err)
				}
				if c, err := s.Resumable(context.Background(), now, store.Cursor{}, store.MaxPage); err != nil || len(c) > 0 {
					b.Fatal(c, err)
				}
				if c, err := s.Due(context.Background(), now, store.Cursor{}, store.MaxPage); err != nil || len(c) > 0 {
					b.Fatal(c, err)
				}
			}
		})
	}
}
