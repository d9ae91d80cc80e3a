package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// large is how many resources of each kind make a tenant that should not fit
// one transaction.
const large = 6000

func eraseCases() []testCase {
	return []testCase{
		{"RemovesInTheOrderOfG3", eraseInOrder},
		{"CountsWhatItRemoves_G5", func(e *env) {
			e.createAll("top", "child<top")
			counts := e.fillIfHeld("top", 5).Plus(e.fillIfHeld("child", 2))
			e.deactivate("top", t0, 10)
			tok := e.claim("top", due10).Token
			var sum store.Counts
			for more := true; more; {
				got, err := e.s.Erase(e.ctx(), tok, due10, lease)
				if err != nil {
					e.t.Fatalf("Erase: %v", err)
				}
				sum, more = sum.Plus(got.Deleted), got.More
				e.equal(sum, e.tenant("top").Purge.Deleted, "the progress after a step")
			}
			if left := counts.Resources() - sum.Resources(); left < 0 {
				e.t.Errorf("erased %+v of %+v", sum, counts)
			}
			counts.SubTenants = 1
			r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10})
			if err != nil {
				e.t.Fatalf("Finish: %v", err)
			}
			e.equal(counts, r.Deleted, "deleted")
		}},
		{"AgainIsHarmless_G5", func(e *env) {
			e.disabled("acme", "")
			counts := e.fillIfHeld("acme", 3)
			tok := e.claim("acme", due10).Token
			e.eraseAll(tok, due10)
			for range 3 {
				got, err := e.s.Erase(e.ctx(), tok, due10, lease)
				if err != nil || got.More {
					e.t.Fatalf("Erase again: %+v, %v; want nothing more", got, err)
				}
			}
			r := e.finish(tok, due10)
			e.equal(counts, r.Deleted, "deleted")
		}},
		{"TouchesNothingElse_G4", func(e *env) {
			e.createAll("root", "top<root", "sibling<root", "child<top")
			e.deactivate("top", t0, 10)
			e.fillIfHeld("top", 3)
			e.fillIfHeld("child", 3)
			root, sibling := e.fillIfHeld("root", 2), e.fillIfHeld("sibling", 4)
			tok := e.claim("top", due10).Token
			e.eraseAll(tok, due10)
			e.wantHeld("root", root)
			e.wantHeld("sibling", sibling)
			e.finish(tok, due10)
			e.wantHeld("root", root)
			e.wantHeld("sibling", sibling)
		}},
	}
}

// eraseInOrder erases a tree that takes several steps. After each, what is
// left must be a tail of the order: kind by kind, within a kind tenant by
// tenant from the deepest.
func eraseInOrder(e *env) {
	e.directory()
	e.createAll("root", "a<root", "b<root", "deep<b")
	ids := []string{"deep", "a", "b", "root"}
	want := store.Counts{SubTenants: 3}
	held := map[string]store.Counts{}
	for i, id := range ids {
		held[id] = e.fill(id, large/4+i)
		want = want.Plus(held[id])
	}
	e.deactivate("root", t0, 10)
	c := e.claim("root", due10)
	e.equal(ids, c.Tenants, "the subtree")

	if _, err := e.s.Finish(e.ctx(), c.Token, store.Verification{At: due10}); err != nil {
		e.wantCode(err, store.Precondition, "Finish of a large tree before it is erased")
	} else {
		e.t.Fatalf("a tree of %d resources fits one transaction; the case needs a larger one", want.Resources())
	}
	steps := 0
	for more := true; more; steps++ {
		got, err := e.s.Erase(e.ctx(), c.Token, due10.Add(time.Duration(steps)*time.Second), lease)
		if err != nil {
			e.t.Fatalf("Erase: %v", err)
		}
		if more = got.More; more && got.Deleted.Resources() == 0 {
			e.t.Fatal("Erase removed nothing and has more to do")
		}
		e.wantTail(ids, held)
		if more && steps%2 == 1 {
			_, err := e.s.Finish(e.ctx(), c.Token, store.Verification{At: due10})
			e.wantCode(err, store.Precondition, "Finish while Erase has more to do")
		}
	}
	r, err := e.s.Finish(e.ctx(), c.Token, store.Verification{At: due10.Add(time.Hour)})
	if err != nil {
		e.t.Fatalf("Finish: %v", err)
	}
	e.equal(want, r.Deleted, "deleted")
	e.equal(want, r.Planned, "planned")
}

// wantTail fails the case unless what the tenants hold is a tail of the order
// of removal.
func (e *env) wantTail(ids []string, held map[string]store.Counts) {
	e.t.Helper()
	begun, at := false, ""
	for _, k := range store.Kinds() {
		for _, id := range ids {
			left, err := e.directory().Count(e.ctx(), id)
			if err != nil {
				e.t.Fatalf("Count(%q): %v", id, err)
			}
			n, all := left.Of(k), held[id].Of(k)
			if begun && n != all {
				e.t.Fatalf("%s of %q: %d of %d are left, while there is still %s (G3)", k, id, n, all, at)
			}
			if n > 0 && !begun {
				begun, at = true, fmt.Sprintf("%s of %q", k, id)
			}
		}
	}
}
