package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func dueCases() []testCase {
	return []testCase{
		{"FromTheDateOn_G1", func(e *env) {
			e.disabled("acme", "")
			e.wantDue(t0)
			e.wantDue(due10.Add(-time.Millisecond))
			e.wantDue(due10, "acme")
			e.wantDue(due10.Add(time.Millisecond), "acme")
			e.wantDue(farFuture, "acme")
			e.reopen()
			e.wantDue(due10.Add(-time.Millisecond))
			e.wantDue(due10, "acme")
		}},
		{"HoldsExactlyTheDisabled_G2", func(e *env) {
			e.createAll("never", "root", "child<root")
			e.disabled("back", "")
			e.update("back", t0, store.Reactivate())
			e.disabled("claimed", "")
			e.disabled("purged", "")
			e.claim("claimed", due10)
			e.purge("purged", due10, inline)
			e.deactivate("root", t0, 11)
			e.wantDue(farFuture, "root") // the active child is not due by itself
		}},
		{"DoesNotLookAtBlocks", func(e *env) {
			e.blockedByHold("held")
			e.disabled("subscribed", "")
			e.subscribe("subscribed", 2)
			e.wantDue(due10, "held", "subscribed")
		}},
		{"InTheOrderOfDateThenID", func(e *env) {
			e.createAll("a", "b", "c", "d", "a.b", "a-b")
			e.deactivate("d", t0.Add(-time.Millisecond), 10)
			e.deactivate("a", t0.Add(time.Millisecond), 10)
			for _, id := range []string{"c", "b", "a.b", "a-b"} {
				e.deactivate(id, t0, 10)
			}
			e.wantDue(farFuture, "d", "a-b", "a.b", "b", "c", "a")
		}},
		{"GoesOnAfterTheCursor", dueCursor},
		{"NamesTheDueAncestorsTopmostFirst", dueAbove},
	}
}

// due reads every candidate at now, in pages of the given size.
func (e *env) due(now time.Time, limit int) []store.Candidate {
	e.t.Helper()
	return e.candidates(limit, func(after store.Cursor) ([]store.Candidate, error) { return e.s.Due(e.ctx(), now, after, limit) })
}

// candidates reads page after page.
func (e *env) candidates(limit int, next func(store.Cursor) ([]store.Candidate, error)) []store.Candidate {
	e.t.Helper()
	var all []store.Candidate
	var after store.Cursor
	for range 10_000 {
		page, err := next(after)
		if err != nil {
			e.t.Fatalf("candidates after %+v: %v", after, err)
		}
		if len(page) > limit {
			e.t.Fatalf("%d candidates; want at most %d", len(page), limit)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Cursor
	}
	e.t.Fatal("the pages never end")
	return nil
}

// wantDue fails the case unless exactly these are due at now, in this order.
// An empty id stands for nothing.
func (e *env) wantDue(now time.Time, want ...string) {
	e.t.Helper()
	e.equal(compact(want), idsOf(e.due(now, 100)), fmt.Sprintf("due at %s", store.FormatTime(now)))
}

func compact(ids []string) []string {
	var out []string
	for _, id := range ids {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

func idsOf(cs []store.Candidate) []string {
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.ID)
	}
	return ids
}

func dueCursor(e *env) {
	var want []string
	for i := range 6 { // dates in pairs, so that pages end between equal dates
		for _, id := range []string{"a", "b"} {
			name := fmt.Sprintf("t%d-%s", i, id)
			e.create(name, "")
			e.deactivate(name, t0.Add(time.Duration(i)*time.Millisecond), 10)
			want = append(want, name)
		}
	}
	for _, limit := range []int{1, 2, 3, 5, 12, 50} {
		got := e.due(farFuture, limit)
		e.equal(want, idsOf(got), fmt.Sprintf("in pages of %d", limit))
		for i, c := range got {
			if date := due10.Add(time.Duration(i/2) * time.Millisecond); !c.At.Equal(date) {
				e.t.Errorf("candidate %q at %v; want its date %v", c.ID, c.At, date)
			}
		}
	}
	// A cursor is a place, not a record: the tenant there may be gone.
	page, err := e.s.Due(e.ctx(), farFuture, store.Cursor{At: due10, ID: "t0-a"}, 2)
	if err != nil {
		e.t.Fatal(err)
	}
	e.equal([]string{"t0-b", "t1-a"}, idsOf(page), "after the first")
	e.purge("t0-a", due10)
	page, err = e.s.Due(e.ctx(), farFuture, store.Cursor{At: due10, ID: "t0-a"}, 2)
	if err != nil {
		e.t.Fatal(err)
	}
	e.equal([]string{"t0-b", "t1-a"}, idsOf(page), "after the first, which is gone")
	page, err = e.s.Due(e.ctx(), due10, store.Cursor{At: due10, ID: "t0-b"}, 2)
	if err != nil || len(page) != 0 {
		e.t.Errorf("after the last one that is due: %v, %v; want nothing", page, err)
	}
}

// The chain is root < a < b < c < leaf; only those that are disabled and whose
// date has come are above a candidate.
func dueAbove(e *env) {
	e.createAll("root", "a<root", "b<a", "c<b", "leaf<c")
	e.deactivate("leaf", t0, 10)
	e.deactivate("c", t0, 12)
	e.deactivate("b", t0, 10)
	// a stays active
	e.deactivate("root", t0, 10)
	above := func(now time.Time) map[string][]string {
		m := map[string][]string{}
		for _, c := range e.due(now, 100) {
			m[c.ID] = c.DueAbove
		}
		return m
	}
	e.equal(map[string][]string{"root": nil, "b": {"root"}, "leaf": {"root", "b"}}, above(due10), "above, the date of c still to come")
	e.equal(map[string][]string{"root": nil, "b": {"root"}, "c": {"root", "b"}, "leaf": {"root", "b", "c"}}, above(t0.Add(12*day)), "above, all dates past")
	e.update("root", t0, store.Reactivate())
	e.equal(map[string][]string{"b": nil, "c": {"b"}, "leaf": {"b", "c"}}, above(t0.Add(12*day)), "above, the root active")
}
