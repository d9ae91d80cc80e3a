package purge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// groupFake is a fake that takes several tenants in a call. Its journal has their
// ids with commas.
type groupFake struct {
	*fake
	size int
}

func (g groupFake) GroupSize(store.Kind) int { return g.size }

func (g groupFake) CountGroup(ctx context.Context, ids []string, kind store.Kind) (sum int64, err error) {
	c := call{Target: g.name, Op: "count", Tenant: strings.Join(ids, ","), Kind: kind}
	g.journal.add(c)
	if g.before != nil {
		if err := g.before(ctx, c); err != nil {
			return 0, err
		}
	}
	for _, id := range ids {
		sum += g.has(id).Of(kind)
	}
	return sum, nil
}

func (g groupFake) PurgeGroup(ctx context.Context, ids []string, r purge.Request) (sum purge.Removed, err error) {
	g.journal.add(call{Target: g.name, Op: "purge", Tenant: strings.Join(ids, ","), Kind: r.Kind, Resumed: r.Resumed})
	for _, id := range ids {
		one := r
		if one.TenantID, one.Limit = id, r.Limit-int(sum.Deleted); one.Limit <= 0 {
			sum.More = true
			break
		}
		did, err := g.remove(ctx, one)
		if sum.Deleted += did.Deleted; err != nil {
			return sum, err
		}
		sum.More = sum.More || did.More
	}
	return sum, nil
}

// TestRun_G3_GroupsKeepTheOrder has a tree of five in calls for two tenants: the
// deepest first, kind by kind, guarded or not.
func TestRun_G3_GroupsKeepTheOrder(t *testing.T) {
	for name, wrap := range map[string]func(purge.Target) purge.Target{
		"Bare":    func(g purge.Target) purge.Target { return g },
		"Guarded": func(g purge.Target) purge.Target { return guarded(t, g, purge.DefaultPolicy()) },
	} {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			held := map[string]store.Counts{"neighbour": each(3, 0)}
			s := openStore(t, t.TempDir())
			tree := []store.Tenant{due("a", ""), active("b", "a"), active("c", "a"), active("d", "b"), active("e", "d")}
			for _, tenant := range tree {
				held[tenant.ID] = each(3, 0)
			}
			fill(t, s, append(tree, active("neighbour", "")), nil)
			f := newFake("crm", held)
			f.kinds, f.journal = []store.Kind{store.KindUser, store.KindAPIKey}, j
			e := newEngine(t, s, targets(wrap(groupFake{f, 2})), setting(func(s *purge.Settings) { s.Batch = 4 }))
			if r, err := e.Run(t.Context(), purge.TriggerRun); err != nil || r.Totals.Deleted != 1 {
				t.Fatalf("Run = %+v, %v", r.Totals, err)
			}
			var got []string
			for _, c := range j.all() {
				if c.Op == "purge" {
					got = append(got, c.Tenant+" "+string(c.Kind))
				}
			}
			want := []string{
				"e,d apiKey", "e,d apiKey", "b,c apiKey", "b,c apiKey", "a apiKey",
				"e,d user", "e,d user", "b,c user", "b,c user", "a user",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if r := receipt(t, s, "a"); r.Deleted.Resources() != 5*2*3 || r.Planned.Resources() != 5*2*3 || !r.CountsExact {
				t.Errorf("receipt %+v", r)
			}
			if f.has("neighbour") != each(3, 0) {
				t.Errorf("the neighbour has %+v left", f.has("neighbour"))
			}
		})
	}
}

// TestRun_MoreAreUnderWayWhereTargetsTakeThemTogether counts the tenants that
// wait for an answer.
func TestRun_MoreAreUnderWayWhereTargetsTakeThemTogether(t *testing.T) {
	for name, c := range map[string]struct {
		group       bool
		concurrency int
		want        int
	}{"Group": {true, 3, 12}, "GroupOneByOne": {true, 1, 1}, "Plain": {false, 3, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				var tenants []store.Tenant
				for i := range 20 {
					tenants = append(tenants, due(fmt.Sprint("t", i), ""))
				}
				fill(t, s, tenants, nil)
				var mu sync.Mutex
				waiting, release := map[string]bool{}, make(chan struct{})
				f := newFake("crm", nil)
				f.before = func(_ context.Context, c call) error {
					mu.Lock()
					waiting[c.Tenant] = true
					mu.Unlock()
					<-release
					return nil
				}
				list := targets(f)
				if c.group {
					list = targets(groupFake{f, 10})
				}
				e := newEngine(t, s, list, setting(func(s *purge.Settings) { s.Concurrency = c.concurrency }))
				done := make(chan struct{})
				go func() {
					defer close(done)
					mustRun(t, e)
				}()
				synctest.Wait()
				mu.Lock()
				if len(waiting) != c.want {
					t.Errorf("%d tenants are under way, want %d", len(waiting), c.want)
				}
				mu.Unlock()
				close(release)
				<-done
			})
		})
	}
}

// TestRun_G11_AGroupThatFailsFailsItsTree leaves another tree alone.
func TestRun_G11_AGroupThatFailsFailsItsTree(t *testing.T) {
	s := openStore(t, t.TempDir())
	fill(t, s, []store.Tenant{due("bad", ""), active("bad-1", "bad"), due("good", "")}, nil)
	f := newFake("crm", map[string]store.Counts{"bad-1": each(3, 0), "good": each(3, 0)})
	f.before = func(_ context.Context, c call) error {
		if c.Op == "purge" && c.Tenant == "bad-1" {
			return store.Errorf(store.Precondition, "referenced")
		}
		return nil
	}
	e := newEngine(t, s, targets(groupFake{f, 100}))
	if _, err := e.Run(t.Context(), purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s, store.StatusPurging, "bad")
	wantStatus(t, s, store.StatusDeleted, "good")
	if f.has("bad-1") != each(3, 0) || f.has("good") != (store.Counts{}) {
		t.Errorf("left: %+v of bad-1, %+v of good", f.has("bad-1"), f.has("good"))
	}
}
