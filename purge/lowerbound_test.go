package purge_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// TestRun_G5_AKillLeavesALowerBoundOnlyOfTheTargetWithoutAnAccount kills a purge of
// two targets, of which one keeps an account, at every step.
func TestRun_G5_AKillLeavesALowerBoundOnlyOfTheTargetWithoutAnAccount(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	idp := []store.LowerBound{{Target: "idp", Kind: store.KindUser}}
	for _, after := range []bool{false, true} {
		named, short := 0, 0
		for k := 1; ; k++ {
			w := newWorld(t, template)
			w.targets[0].books = map[string]store.Counts{}
			l := &life{at: k, after: after}
			w.live(context.Background(), t, l)
			if !l.over() {
				break
			}
			w.live(context.Background(), t, &life{})
			r := w.check(t, false)
			if got := r.Targets["crm"]; got != (store.Counts{Users: 5, OAuthClients: 2}) {
				t.Errorf("of the target with an account the receipt says %+v", got)
			}
			if r.Targets["idp"].Users < 5 {
				short++
			}
			want := []store.LowerBound(nil)
			if !r.CountsExact {
				named++
				want = idp
			}
			if !slices.Equal(r.LowerBounds, want) {
				t.Errorf("exact: %t, and a lower bound are %v", r.CountsExact, r.LowerBounds)
			}
			if t.Failed() {
				t.Fatalf("killed at step %d, after the effect: %t", k, after)
			}
		}
		if named == 0 || after && short == 0 {
			t.Errorf("after the effect: %t: %d receipts name a target, and of %d the count is less than what was removed", after, named, short)
		}
	}
}
