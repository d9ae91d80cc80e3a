package purge_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The forest of the benchmarks.
const (
	benchRoots     = 2_000
	benchSub       = 5
	benchResources = 85 // a tenant: 20 users and credentials, 25 keys, 20 clients
)

// benchTemplate fills a store and returns its directory.
func benchTemplate(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	ctx, o := context.Background(), store.Origin{Actor: operator, At: time.Now()}
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(s.BeginImport(ctx, store.Import{Digest: "bench"}, o))
	const perBatch = 5
	for i := 0; i < benchRoots; i += perBatch {
		var batch store.Batch
		for r := i; r < min(i+perBatch, benchRoots); r++ {
			root := fmt.Sprintf("root-%05d", r)
			batch.Tenants = append(batch.Tenants, due(root, ""))
			ids := []string{root}
			for j := range benchSub {
				id := fmt.Sprintf("%s-%d", root, j)
				ids = append(ids, id)
				batch.Tenants = append(batch.Tenants, active(id, root))
			}
			for k, kind := range store.Kinds() {
				for _, id := range ids {
					for n := range []int{20, 25, 20, 20}[k] {
						batch.Resources = append(batch.Resources, store.Resource{
							TenantID: id, Kind: kind, ID: fmt.Sprintf("%s-%d", kind, n), Data: []byte(`{"name":"resource of a tenant"}`),
						})
					}
				}
			}
		}
		_, err := s.ImportBatch(ctx, batch, o)
		must(err)
	}
	must(s.EndImport(ctx, o))
	must(s.Close())
	return dir
}

// BenchmarkRun_Target is a pass over 2,000 trees of 6 tenants with 85 resources
// each, all of them due, with a target that answers at once. A pass without
// targets is measured by deploy/bench.
func BenchmarkRun_Target(b *testing.B) {
	template := benchTemplate(b)
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		copyFile(b, filepath.Join(template, boltstore.FileName), filepath.Join(dir, boltstore.FileName))
		s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		e := newEngine(b, s, targets(newFake("crm", nil)))
		b.StartTimer()
		r := mustRun(b, e)
		b.StopTimer()
		if want := int64(benchRoots * (benchSub + 1)); r.Totals.Tenants != want || r.Totals.Resources() != want*benchResources {
			b.Fatalf("totals %+v", r.Totals)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*benchRoots)/b.Elapsed().Seconds(), "trees/s")
}
