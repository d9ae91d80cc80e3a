package boltstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// plantBelow imports an active root and, below it, the tenant "top" with n
// sub-tenants in the given number of levels, with one resource each.
func plantBelow(tb testing.TB, s *Store, n, levels int) {
	tb.Helper()
	put := func(b store.Batch) {
		tb.Helper()
		if _, err := s.ImportBatch(context.Background(), b, at(epoch)); err != nil {
			tb.Fatal(err)
		}
	}
	put(store.Batch{Tenants: []store.Tenant{
		{ID: "root", Status: store.StatusActive},
		{ID: "top", ParentID: "root", Status: store.StatusDisabled, DisabledAt: epoch, PurgeAfterDays: 10, EstimatedPurgeDate: dueAt},
	}})
	const step = 1000
	for i := 0; i < n; i += step {
		var b store.Batch
		for j := i; j < min(i+step, n); j++ {
			parent := "top"
			if j >= n/levels {
				parent = fmt.Sprintf("sub-%08d", j-n/levels)
			}
			id := fmt.Sprintf("sub-%08d", j)
			b.Tenants = append(b.Tenants, store.Tenant{ID: id, ParentID: parent, Name: "Tenant " + id, Status: store.StatusActive})
			b.Resources = append(b.Resources, store.Resource{TenantID: id, Kind: store.Kinds()[j%4], ID: "r", Data: []byte(`{"email":"someone@example.com"}`)})
		}
		put(b)
	}
}

// BenchmarkErase_SubTree erases a sub-tree of many tenants in steps. The time
// for each tenant should not grow with their number, nor the longest step.
func BenchmarkErase_SubTree(b *testing.B) {
	for _, n := range []int{15_000, 60_000} {
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			var claim, erase, finish, longest time.Duration
			for range b.N {
				s := bench(b, b.TempDir())
				plantBelow(b, s, n, 5)
				ctx := context.Background()
				began := time.Now()
				c, err := s.Claim(ctx, "top", request(false))
				if err != nil {
					b.Fatal(err)
				}
				claim += time.Since(began)
				began = time.Now()
				s.LongestTx()
				for more, steps := true, 0; more; steps++ {
					e, err := s.Erase(ctx, c.Token, dueAt, time.Hour)
					if err != nil || steps > n {
						b.Fatal(steps, err)
					}
					more = e.More
				}
				erase += time.Since(began)
				longest = max(longest, s.LongestTx())
				began = time.Now()
				r, err := s.Finish(ctx, c.Token, store.Verification{At: dueAt})
				if err != nil || len(r.Tenants) != n+1 || r.Deleted.Resources() != int64(n) {
					b.Fatal(err)
				}
				finish += time.Since(began)
			}
			b.ReportMetric(float64(claim.Milliseconds())/float64(b.N), "claim-ms")
			b.ReportMetric(float64(erase.Microseconds())/float64(n*b.N), "erase-us/tenant")
			b.ReportMetric(float64(longest.Milliseconds()), "longest-step-ms")
			b.ReportMetric(float64(finish.Milliseconds())/float64(b.N), "finish-ms")
		})
	}
}
