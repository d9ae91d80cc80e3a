package purge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// line returns n tenants, each the parent of the next, all due, on hold at the
// bottom. order is that of their dates.
func line(n int, order []int) []store.Tenant {
	list := make([]store.Tenant, n)
	for i := range list {
		parent := ""
		if i > 0 {
			parent = list[i-1].ID
		}
		list[i] = disabled(fmt.Sprintf("t%05d", i), parent, -time.Hour+time.Duration(order[i])*time.Millisecond)
	}
	list[n-1].Hold = &store.Hold{Reason: "litigation"}
	return list
}

// orders are ways in which the dates of n tenants can follow each other.
func orders(n int) map[string][]int {
	down, up := make([]int, n), make([]int, n)
	for i := range n {
		down[i], up[i] = i, n-1-i
	}
	return map[string][]int{"from the top": down, "from the bottom": up, "shuffled": rand.New(rand.NewPCG(1, 2)).Perm(n)}
}

// counting counts what a pass or a plan asks of the store that reads a whole
// subtree, and what does not.
type counting struct {
	store.Store
	subtrees, known, tenants atomic.Int64
}

func (c *counting) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if req.Known != nil {
		c.known.Add(1)
	} else {
		c.subtrees.Add(1)
	}
	return c.Store.Claim(ctx, id, req)
}

func (c *counting) Assess(ctx context.Context, id string, req store.ClaimRequest) (store.Assessment, error) {
	c.subtrees.Add(1)
	return c.Store.Assess(ctx, id, req)
}

func (c *counting) Survey(ctx context.Context, id string, req store.ClaimRequest) (map[string]store.Block, error) {
	c.subtrees.Add(1)
	return c.Store.Survey(ctx, id, req)
}

func (c *counting) Tenant(ctx context.Context, id string) (store.Tenant, error) {
	c.tenants.Add(1)
	return c.Store.Tenant(ctx, id)
}

// TestRun_ALongLineAboveAHoldIsReadOnce has tenants that all wait for the
// deepest one. Trying each on its own would read the line a square of times.
func TestRun_ALongLineAboveAHoldIsReadOnce(t *testing.T) {
	const n = 700
	for name, order := range orders(n) {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			fill(t, s, line(n, order), nil)
			want := map[string]string{}
			for i := range n {
				want[fmt.Sprintf("t%05d", i)] = fmt.Sprintf("blocked: hold by t%05d", n-1)
			}
			for _, pass := range []func(*purge.Engine) purge.Report{
				func(e *purge.Engine) purge.Report { return mustPlan(t, e) },
				func(e *purge.Engine) purge.Report { return mustRun(t, e) }, // writes the blocks
				func(e *purge.Engine) purge.Report { return mustRun(t, e) }, // finds them
				func(e *purge.Engine) purge.Report { return mustPlan(t, e) },
			} {
				c := &counting{Store: s}
				r := pass(newEngine(t, c))
				wantOutcomes(t, r, want)
				if got := c.subtrees.Load(); got > 3 {
					t.Errorf("%s: %d calls read a subtree; want a handful for %d tenants", r.Trigger, got, n)
				}
				if got := c.tenants.Load(); got > 2*n {
					t.Errorf("%s: %d records were read; want about one for each of %d tenants", r.Trigger, got, n)
				}
				if got := c.known.Load(); got > n {
					t.Errorf("%s: %d claims of %d tenants", r.Trigger, got, n)
				}
			}
			// Each has its block on record, and waits for nothing once it is gone.
			st, err := s.Stats(context.Background(), time.Now())
			if err != nil || st.Blocked[store.BlockHold] != n || st.Due != 0 {
				t.Errorf("%+v, %v", st, err)
			}
			bottom := fmt.Sprintf("t%05d", n-1)
			if _, err := s.Update(context.Background(), bottom, store.Update{
				Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Release(),
			}); err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, mustRun(t, newEngine(t, s)), map[string]string{"t00000": "deleted"})
		})
	}
}

// TestPlan_ALongLineAboveAResumedTenantIsReadOnce has tenants that would wait
// for one whose purge goes on.
func TestPlan_ALongLineAboveAResumedTenantIsReadOnce(t *testing.T) {
	const n = 300
	s := newStore(t)
	tenants := line(n, orders(n)["shuffled"])
	tenants[n-1].Hold = nil
	fill(t, s, tenants, nil)
	bottom := tenants[n-1].ID
	before := time.Now().Add(-time.Second) // so that its next attempt has come
	claim, err := s.Claim(context.Background(), bottom, store.ClaimRequest{
		Origin: store.Origin{Actor: operator, At: before}, Owner: "gone", Lease: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Yield(context.Background(), claim.Token, before); err != nil {
		t.Fatal(err)
	}
	c := &counting{Store: s}
	r := mustPlan(t, newEngine(t, c))
	want := map[string]string{bottom: "deleted"}
	for _, v := range tenants[:n-1] {
		want[v.ID] = "blocked: purging by " + bottom
	}
	wantOutcomes(t, r, want)
	if got := c.subtrees.Load(); got > 4 {
		t.Errorf("%d calls read a subtree; want a handful for %d tenants", got, n)
	}
}

// BenchmarkRun_LongLineAboveAHold is a pass over tenants of which each waits for
// the deepest one: the first pass, which writes that down, and the next ones. The
// time for each tenant should not grow with their number.
func BenchmarkRun_LongLineAboveAHold(b *testing.B) {
	for _, n := range []int{3_000, 12_000} {
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			var first, next time.Duration
			for range b.N {
				s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				fill(b, s, line(n, orders(n)["shuffled"]), nil)
				e := newEngine(b, s)
				began := time.Now()
				mustRun(b, e)
				first += time.Since(began)
				began = time.Now()
				if r := mustRun(b, e); r.Totals.Blocked != int64(n) {
					b.Fatalf("%+v", r.Totals)
				}
				next += time.Since(began)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(first.Microseconds())/float64(n*b.N), "first-us/tenant")
			b.ReportMetric(float64(next.Microseconds())/float64(n*b.N), "next-us/tenant")
		})
	}
}
