package purge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// legacy are tenants that are due first, and which the source cannot answer about.
func legacy(n int) (list []store.Tenant, ask func(context.Context, string) error) {
	for i := range n {
		list = append(list, disabled(fmt.Sprintf("legacy-%02d", i), "", -100*time.Hour))
	}
	return list, func(_ context.Context, id string) error {
		if strings.HasPrefix(id, "legacy") {
			return errSourceDown
		}
		return nil
	}
}

// TestRun_G11_TenantsThatTheSourceCannotAnswerAboutHoldUpNoOther: the oldest ones, pass
// after pass, one at a time and several.
func TestRun_G11_TenantsThatTheSourceCannotAnswerAboutHoldUpNoOther(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		for _, bad := range []int{3, 12, 500} {
			t.Run(fmt.Sprintf("%d of them, %d at a time", bad, concurrency), func(t *testing.T) {
				s := newStore(t)
				list, ask := legacy(bad)
				d := &directory{ask: ask}
				rows := many(50, dueRow)
				for _, r := range rows {
					list = append(list, kept(r))
				}
				fill(t, s, list, nil)
				d.set(rows...)
				e := newEngine(t, s, source(d), setting(func(s *purge.Settings) { s.Concurrency = concurrency }))
				first := mustRun(t, e)
				if first.Totals.Deleted < 30 {
					t.Errorf("the first pass purged %d of 50", first.Totals.Deleted)
				}
				got := first.Totals.Deleted
				for range 40 { // each finds some of those that are to be asked about last
					got += mustRun(t, e).Totals.Deleted
				}
				if got != 50 {
					t.Errorf("%d were purged in 41 passes; want all 50", got)
				}
			})
		}
	}
}

// TestRun_G11_WhoHadNoAnswerIsAskedAboutLast in the next pass, however long due.
func TestRun_G11_WhoHadNoAnswerIsAskedAboutLast(t *testing.T) {
	s := newStore(t)
	list, ask := legacy(2)
	d := &directory{ask: ask}
	fill(t, s, list, nil)
	e := newEngine(t, s, source(d), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
	mustRun(t, e)
	late := dueRow("late", "")
	fill(t, s, []store.Tenant{kept(late)}, nil)
	d.set(late)
	d.mu.Lock()
	d.asks = nil
	d.mu.Unlock()
	mustRun(t, e)
	if len(d.asks) != 3 || d.asks[0] != "late" {
		t.Errorf("asked about %v; want late first", d.asks)
	}
}
