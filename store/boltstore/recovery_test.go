package boltstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// counted is what a receipt must say whether or not it was interrupted.
type counted struct {
	Tenants                     []string
	Planned, Deleted, Remaining store.Counts
	Exact                       bool
}

func countedOf(r store.Receipt) counted {
	return counted{r.Tenants, r.Planned, r.Deleted, r.Remaining, r.CountsExact}
}

// TestResume_G5_AfterAKillBetweenAnyTwoTransactions takes the file as it is
// after every transaction of a purge, opens it as a new owner and completes.
func TestResume_G5_AfterAKillBetweenAnyTwoTransactions(t *testing.T) {
	for name, build := range map[string]func(f *fixture){
		"a tree of several segments": func(f *fixture) {
			f.create("top", "")
			f.create("top-1", "top")
			f.create("top-1-1", "top-1")
			f.fill("top", segmentRows/4+500) // of each kind
			f.fill("top-1", 300)
			f.fill("top-1-1", 300)
		},
		"a subtree": func(f *fixture) {
			f.create("root", "")
			f.create("top", "root")
			f.create("top-1", "top")
			f.create("top1", "root") // a neighbour with a confusable id
			f.fill("root", 100)
			f.fill("top", segmentRows/4)
			f.fill("top-1", 200)
			f.fill("top1", 300)
		},
		"a subtree of more tenants than one transaction takes": func(f *fixture) {
			plantBelow(f.t, f.Store, inlineTenants+3*pieceTenants, 4)
		},
		"more tenants than one transaction takes": func(f *fixture) {
			f.create("top", "")
			var b store.Batch
			for i := range inlineTenants + 5*pieceTenants {
				parent := "top"
				if i > 10 {
					parent = fmt.Sprintf("child-%05d", i%10)
				}
				b.Tenants = append(b.Tenants, store.Tenant{ID: fmt.Sprintf("child-%05d", i), ParentID: parent, Status: store.StatusActive})
				b.Resources = append(b.Resources, store.Resource{TenantID: fmt.Sprintf("child-%05d", i), Kind: store.KindUser, ID: "u"})
			}
			_, err := f.ImportBatch(f.t.Context(), b, at(epoch))
			f.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.opt.TxTarget = time.Nanosecond // one step a transaction
			build(f)
			f.deactivate("top")
			claim, err := f.Claim(t.Context(), "top", request(true))
			f.must(err)
			if claim.Receipt != nil {
				t.Fatal("the purge was finished in one transaction: nothing to interrupt")
			}
			images := []*fixture{f.image()}
			steps := 0
			for more := true; more; steps++ {
				e, err := f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
				f.must(err)
				more = e.More
				images = append(images, f.image())
			}
			r, err := f.Finish(t.Context(), claim.Token, store.Verification{At: dueAt})
			f.must(err)
			want := countedOf(r)
			if steps < 3 {
				t.Fatalf("only %d steps", steps)
			}
			if want.Planned != want.Deleted || want.Remaining != (store.Counts{}) || !want.Exact {
				t.Fatalf("receipt without a kill: %+v", want)
			}
			for i, g := range images {
				g.check()
				c, err := g.Resume(t.Context(), "top", request(true))
				g.must(err)
				if diff := cmp.Diff(want, countedOf(g.complete(c.Token))); diff != "" {
					t.Errorf("killed after transaction %d (-want +got):\n%s", i, diff)
				}
				if _, err := g.Finish(t.Context(), claim.Token, store.Verification{At: dueAt}); store.CodeOf(err) != store.Conflict {
					t.Errorf("the token of the killed owner: got %v, want conflict", err)
				}
				g.check()
				g.must(g.Close())
			}
		})
	}
}

func TestPurge_G4_TakesNothingOfANeighbour(t *testing.T) {
	f := newFixture(t)
	f.create("root", "")
	for _, id := range []string{"a", "a-", "a.b", "A", "a:1", "aa"} {
		f.create(id, "root")
		f.fill(id, 50)
	}
	f.deactivate("a")
	claim, err := f.Claim(t.Context(), "a", request(true))
	f.must(err)
	if claim.Receipt == nil || claim.Receipt.Deleted.Resources() != 200 {
		t.Fatalf("receipt %+v", claim.Receipt)
	}
	for _, id := range []string{"a-", "a.b", "A", "a:1", "aa"} {
		c, err := f.Count(t.Context(), id)
		f.must(err)
		if c.Resources() != 200 {
			t.Errorf("neighbour %q has %d resources, want 200", id, c.Resources())
		}
	}
}

// A purge in steps removes all resources of a kind in the whole subtree before
// the first of the next kind.
func TestErase_G3_KindByKindAcrossTheSubtree(t *testing.T) {
	f := newFixture(t)
	f.opt.TxTarget = time.Nanosecond
	f.create("root", "")
	f.create("top", "root")
	f.fill("top", 2000)
	for i := range 4 {
		id := fmt.Sprintf("sub-%d", i)
		f.create(id, "top")
		f.fill(id, 1500)
	}
	f.deactivate("top")
	claim, err := f.Claim(t.Context(), "top", request(true))
	f.must(err)
	left := func() store.Counts {
		var sum store.Counts
		for _, id := range claim.Tenants {
			c, err := f.Count(t.Context(), id)
			f.must(err)
			c.SubTenants = 0
			sum = sum.Plus(c)
		}
		return sum
	}
	full := left()
	for more := true; more; {
		e, err := f.Erase(t.Context(), claim.Token, dueAt, time.Minute)
		f.must(err)
		more = e.More
		now := left()
		for i, k := range store.Kinds() {
			for _, earlier := range store.Kinds()[:i] {
				if now.Of(k) < full.Of(k) && now.Of(earlier) > 0 {
					t.Fatalf("%s were removed while there are %d of %s", k, now.Of(earlier), earlier)
				}
			}
		}
	}
	_, err = f.Finish(t.Context(), claim.Token, store.Verification{At: dueAt})
	f.must(err)
}
