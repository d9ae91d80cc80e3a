package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func runsCases() []testCase {
	return []testCase{
		{"AreKeptAsTheyAre", func(e *env) {
			stamp := func(t time.Time) store.Timestamp { return store.Timestamp{Time: t} }
			want := store.Run{ID: "run-1", Trigger: "schedule", StartedAt: stamp(t0), FinishedAt: stamp(t0.Add(time.Minute)), Result: "partial",
				Tenants: 3, Failed: 1, Blocked: 2, Deleted: store.Counts{Users: 4, SubTenants: 1}, Error: "ldap: refused"}
			e.recordRun(want)
			e.reopen()
			e.equal([]store.Run{want}, e.runs(10), "the runs")
		}},
		{"OfABrokenClockHideNoOthers", func(e *env) {
			e.recordRun(run(1))
			for _, at := range append(impossible(), time.Time{}) {
				r := run(2)
				r.StartedAt.Time, r.FinishedAt.Time = at, at
				// Kept or refused: what was kept before is still to be read.
				_ = e.s.RecordRun(e.ctx(), r)
				if got := e.runs(10); len(got) == 0 || got[len(got)-1].ID != "run-1" {
					e.t.Errorf("after a run at %v: %+v", at, got)
				}
			}
			e.reopen()
			e.runs(10)
		}},
		{"TheNewestFirst", func(e *env) {
			e.equal([]store.Run(nil), e.runs(10), "the runs of a new store")
			var want []store.Run
			for i := range 5 {
				r := run(i)
				e.recordRun(r)
				want = append([]store.Run{r}, want...)
			}
			for _, limit := range []int{1, 4, 5, 6} {
				e.equal(want[:min(limit, 5)], e.runs(limit), fmt.Sprintf("the newest %d", limit))
			}
		}},
		{"TheNewest100AreKept", func(e *env) {
			for i := range 103 {
				e.recordRun(run(i))
				if i == 50 {
					e.reopen()
				}
			}
			got := e.runs(1000)
			if len(got) != 100 || got[0].ID != "run-102" || got[99].ID != "run-3" {
				e.t.Errorf("%d runs are kept, from %q to %q; want the newest 100", len(got), got[0].ID, got[len(got)-1].ID)
			}
		}},
	}
}

func run(i int) store.Run {
	at := store.Timestamp{Time: t0.Add(time.Duration(i) * time.Minute)}
	return store.Run{ID: fmt.Sprintf("run-%d", i), Trigger: "schedule", StartedAt: at, FinishedAt: at, Result: "ok", Tenants: int64(i)}
}

func (e *env) recordRun(r store.Run) {
	e.t.Helper()
	if err := e.s.RecordRun(e.ctx(), r); err != nil {
		e.t.Fatalf("RecordRun: %v", err)
	}
}

func (e *env) runs(limit int) []store.Run {
	e.t.Helper()
	rs, err := e.s.Runs(e.ctx(), limit)
	if err != nil {
		e.t.Fatalf("Runs: %v", err)
	}
	if len(rs) > limit {
		e.t.Errorf("%d runs; want at most %d", len(rs), limit)
	}
	return rs
}
