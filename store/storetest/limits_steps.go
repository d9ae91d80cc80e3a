package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

func limitsRoll(e *env) {
	e.trees(4, 1)
	l := limits(store.Limits{PerDay: 2})
	e.purge("t0", due10, l)
	e.purge("t1", due10.Add(time.Hour), l)
	assess := func(at time.Time) error {
		e.t.Helper()
		a, err := e.s.Assess(e.ctx(), "t2", request(at, l))
		if err != nil {
			e.t.Fatalf("Assess: %v", err)
		}
		return a.Refusal
	}
	e.wantCode(assess(due10.Add(day-time.Millisecond)), store.Exhausted, "1 ms before the first claim is a day old")
	if err := assess(due10.Add(day)); err != nil {
		e.t.Errorf("a day after the first claim: %v; want it allowed", err)
	}
	for at, want := range map[time.Time]int64{
		due10: 1, due10.Add(time.Hour): 2, due10.Add(day - time.Millisecond): 2, due10.Add(day): 1,
		due10.Add(day + time.Hour - time.Millisecond): 1, due10.Add(day + time.Hour): 0,
	} {
		if got := e.stats(at).ClaimedLastDay; at.After(due10) && got != want {
			e.t.Errorf("claimed in the day before %s: %d; want %d", store.FormatTime(at), got, want)
		}
	}
	e.purge("t2", due10.Add(day), l)
	_, err := e.tryClaim("t3", due10.Add(day), l)
	e.wantHalted(err, "limits.perDay")
}

func limitsHalt(e *env) {
	e.trees(3, 1)
	l := limits(store.Limits{PerDay: 1})
	c := e.claim("t0", due10, l)
	e.postpone(c.Token, due10, due10)
	head := e.head()
	_, err := e.tryClaim("t1", due10.Add(time.Minute), l)
	e.wantHalted(err, "limits.perDay")
	if got := e.gates().Halt.Since; !got.Equal(due10.Add(time.Minute)) {
		e.t.Errorf("halted since %v; want the time of the claim", got)
	}
	entries := e.entries(head)
	if len(entries) != 1 || entries[0].Action != store.ActionHalt || entries[0].Actor != "system" {
		e.t.Errorf("the halt wrote %+v; want one halt entry", entries)
	}
	e.wantStatus(store.StatusDisabled, "t1")
	stopped := func() {
		e.t.Helper()
		e.changesNothing("a claim while halted", func() {
			for _, edits := range [][]func(*store.ClaimRequest){nil, {immediate}, {inline}} {
				_, err := e.tryClaim("t1", farFuture, edits...)
				e.wantGate(err, store.GateHalted, "a claim")
			}
			_, err := e.tryResume("t0", farFuture)
			e.wantGate(err, store.GateHalted, "a resumption")
		})
	}
	stopped()
	e.reopen()
	stopped()
	_, err = e.s.ChangeGates(e.ctx(), store.ResumePurging("", 5), by(farFuture))
	e.wantField(err, store.Invalid, "reason", "lifting a halt without a reason")
	stopped()
	e.changeGates(due10, store.ResumePurging("checked", 0))
	e.resume("t0", due10.Add(time.Minute))
	e.claim("t1", due10.Add(2*day), l)
}

func limitsAllowance(e *env) {
	e.trees(7, 2)
	l := limits(store.Limits{PerDay: 3})
	left := func(want int64) {
		e.t.Helper()
		if got := e.gates().Allowance; got != want {
			e.t.Errorf("the allowance is %d; want %d", got, want)
		}
	}
	e.changeGates(due10, store.ResumePurging("big customer", 5))
	e.purge("t0", due10, l) // 2 of 3
	left(5)
	e.purge("t1", due10, l) // 4: one beyond
	left(4)
	e.reopen()
	e.purge("t2", due10, l, inline) // 6: two more
	left(2)
	e.purge("t3", due10, l)
	left(0)
	_, err := e.tryClaim("t4", due10, l)
	e.wantHalted(err, "limits.perDay")
	// One is not enough for two: nothing is taken and it halts again.
	e.changeGates(due10, store.ResumePurging("checked", 1))
	_, err = e.tryClaim("t4", due10, l)
	e.wantHalted(err, "limits.perDay")
	// What is left of an earlier allowance is replaced, not added to.
	e.changeGates(due10, store.ResumePurging("checked", 9))
	e.changeGates(due10, store.ResumePurging("checked", 2))
	left(2)
	// It covers the quota of a pass as well.
	e.purge("t4", due10.Add(3*day), quota(store.NewQuota(1)))
	if got := e.gates(); got.Halt != nil || got.Allowance >= 2 {
		e.t.Errorf("after a claim beyond the quota of a pass: %+v; want the allowance used", got)
	}
}
