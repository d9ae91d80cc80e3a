package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

func nextAttemptCases() []testCase {
	return []testCase{
		{"NoneWhenNothingIsPurging", func(e *env) {
			e.create("active", "")
			e.disabled("disabled", "")
			e.disabled("failed", "")
			e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
			e.disabled("purged", "")
			e.purge("purged", due10)
			e.wantNextAttempt(time.Time{}, time.Time{})
		}},
		{"TheEarliestAfterAnInstant_G11", func(e *env) {
			var at []time.Time
			for i, d := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour, time.Hour} {
				id := fmt.Sprintf("t%d", i)
				e.disabled(id, "")
				e.postpone(e.claim(id, due10).Token, due10, due10.Add(d))
				at = append(at, due10.Add(d))
			}
			e.wantNextAttempt(time.Time{}, at[1])
			e.wantNextAttempt(at[1].Add(-time.Millisecond), at[1])
			e.wantNextAttempt(at[1], at[2])
			e.wantNextAttempt(at[2], at[0])
			e.wantNextAttempt(at[0], time.Time{})
			e.reopen()
			e.wantNextAttempt(time.Time{}, at[1])
		}},
		{"TheEndOfTheLeaseOfWhatIsWorkedOn_G5", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			end := due10.Add(lease)
			e.wantNextAttempt(due10, end)
			e.wantNextAttempt(end.Add(-time.Millisecond), end)
			e.wantNextAttempt(end, time.Time{})
			// Another one whose attempt comes before, and one whose comes after.
			e.disabled("before", "")
			e.postpone(e.claim("before", due10).Token, due10, end.Add(-time.Second))
			e.disabled("after", "")
			e.postpone(e.claim("after", due10).Token, due10, end.Add(time.Second))
			e.wantNextAttempt(due10, end.Add(-time.Second))
			e.wantNextAttempt(end.Add(-time.Second), end)
			e.wantNextAttempt(end, end.Add(time.Second))
			// A sign of life puts it off, and leaving off brings it forward.
			e.record(tok, store.Advance{At: due10.Add(time.Minute), Lease: lease})
			e.wantNextAttempt(end.Add(-time.Second), end.Add(time.Second))
			at := due10.Add(2 * time.Minute)
			if err := e.s.Yield(e.ctx(), tok, at); err != nil {
				e.t.Fatalf("Yield: %v", err)
			}
			e.wantNextAttempt(due10, at)
		}},
		{"OfAnOwnerWhoClosedTheStoreTheNextAttemptItself_G5", func(e *env) {
			e.disabled("acme", "")
			e.claim("acme", due10, func(r *store.ClaimRequest) { r.Lease = 1000 * time.Hour })
			e.reopen()
			if got := e.nextAttempt(time.Time{}); got.IsZero() || got.After(due10.Add(time.Millisecond)) {
				e.t.Errorf("the next attempt is at %v; want it at the claim, %v", got, due10)
			}
		}},
		{"APersonsRetry_G11", func(e *env) {
			e.disabled("acme", "")
			e.postpone(e.claim("acme", due10).Token, due10, time.Time{})
			e.wantNextAttempt(time.Time{}, time.Time{})
			e.update("acme", due10.Add(day), store.Retry())
			e.wantNextAttempt(due10, due10.Add(day))
		}},
	}
}

// nextAttempt returns when the first tenant after an instant can be resumed.
func (e *env) nextAttempt(after time.Time) time.Time {
	e.t.Helper()
	at, err := e.s.NextAttempt(e.ctx(), after)
	if err != nil {
		e.t.Fatalf("NextAttempt(%v): %v", after, err)
	}
	return at
}

func (e *env) wantNextAttempt(after, want time.Time) {
	e.t.Helper()
	if got := e.nextAttempt(after); !got.Equal(want) {
		e.t.Errorf("NextAttempt after %s: %s; want %s", store.FormatTime(after), store.FormatTime(got), store.FormatTime(want))
	}
}

// nextAttemptDefect returns how NextAttempt and Resumable contradict each other:
// up to the next attempt nothing more can be resumed than now, and then
// something can.
func (e *env) nextAttemptDefect(now time.Time) string {
	ids := func(at time.Time) []string {
		list, err := e.s.Resumable(e.ctx(), at, store.Cursor{}, store.MaxPage)
		if err != nil {
			return []string{err.Error()}
		}
		got := idsOf(list)
		slices.Sort(got)
		return got
	}
	next, err := e.s.NextAttempt(e.ctx(), now)
	if err != nil {
		return fmt.Sprintf("NextAttempt: %v", err)
	}
	before, then := farFuture, []string(nil)
	if !next.IsZero() {
		before, then = next.Add(-time.Millisecond), ids(next)
	}
	if before.Before(now) {
		return fmt.Sprintf("the next attempt after %s is at %s", store.FormatTime(now), store.FormatTime(next))
	}
	first := ids(now)
	if got := ids(before); !slices.Equal(first, got) {
		return fmt.Sprintf("resumable at %s: %q; at %s: %q, and the next attempt is at %s",
			store.FormatTime(now), first, store.FormatTime(before), got, store.FormatTime(next))
	}
	if !next.IsZero() && len(then) <= len(first) {
		return fmt.Sprintf("resumable at %s: %q; at the next attempt, %s: %q", store.FormatTime(now), first, store.FormatTime(next), then)
	}
	return ""
}
