package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func blockCases() []testCase {
	return []testCase{
		{"EveryReasonByTheTenantItself", func(e *env) { blockEveryReason(e, "top", "top") }},
		{"EveryReasonByADescendant_G1", func(e *env) { blockEveryReason(e, "top", "leaf") }},
		{"EveryReasonBelowASubTenant", func(e *env) { blockEveryReason(e, "mid", "leaf") }},
		{"DescendantWithALaterDate_G1", func(e *env) {
			e.createAll("top", "mid<top", "leaf<mid")
			e.deactivate("leaf", t0, 12)
			e.deactivate("top", t0, 10)
			later := t0.Add(12 * day)
			for _, at := range []time.Time{due10, later.Add(-time.Millisecond)} {
				_, err := e.tryClaim("top", at)
				e.wantBlocked(err, "top", store.BlockLaterDate, "leaf")
			}
			e.equal(&store.Block{Reason: store.BlockLaterDate, By: "leaf", Until: store.Timestamp{Time: later}}, e.tenant("top").Block, "the block on the record")
			e.wantStatus(store.StatusActive, "mid")
			e.purge("top", later)
			e.wantGone("top", "mid", "leaf")
		}},
		{"AHoldEndsExactlyAtItsEnd", func(e *env) {
			e.createAll("top", "leaf<top")
			until := due10.Add(time.Hour)
			e.update("leaf", t0, store.SetHold("litigation", until))
			e.deactivate("top", t0, 10)
			_, err := e.tryClaim("top", until.Add(-time.Millisecond))
			e.wantBlocked(err, "top", store.BlockHold, "leaf")
			e.claim("top", until)
		}},
		{"TheWorstReasonOfTheSubtree", blockWorst},
		{"AmongEqualReasonsItselfThenLatestThenSmallest", blockAmongEqual},
		{"AnAncestorsHoldDoesNotKeepADescendant", func(e *env) {
			e.createAll("top", "leaf<top")
			e.update("top", t0, store.SetHold("r", time.Time{}))
			e.subscribe("top", 3)
			e.deactivate("leaf", t0, 10)
			e.purge("leaf", due10, protected("top"))
			e.wantStatus(store.StatusActive, "top")
		}},
		{"IsKeptAndAuditedWhenItChanges_G8", blockKept},
		{"GoesWithTheReason", func(e *env) {
			e.blockedByHold("acme")
			e.update("acme", due10, store.Release())
			e.claim("acme", due10)
			if got := e.tenant("acme").Block; got != nil {
				e.t.Errorf("the claimed tenant still has the block %+v", got)
			}
			e.wantBlockedStats(nil)
		}},
		{"PurgingWhileAnOwnerWorksOnADescendant_G12", func(e *env) {
			e.createAll("top", "mid<top", "leaf<mid")
			e.deactivate("mid", t0, 10)
			e.deactivate("top", t0, 10)
			c := e.claim("mid", due10)
			end := due10.Add(lease)
			for _, at := range []time.Time{due10, end.Add(-time.Millisecond)} {
				for _, edits := range [][]func(*store.ClaimRequest){nil, {immediate}, {owner("owner-2")}} {
					_, err := e.tryClaim("top", at, edits...)
					e.wantBlocked(err, "top", store.BlockPurging, "mid")
				}
			}
			// A sign of life makes the lease longer.
			e.record(c.Token, store.Advance{At: end.Add(-time.Millisecond), Lease: lease})
			_, err := e.tryClaim("top", end)
			e.wantBlocked(err, "top", store.BlockPurging, "mid")
			e.finish(c.Token, end)
			e.claim("top", end)
		}},
	}
}

// blockEveryReason gives one tenant each reason in turn and expects that the
// claim of top names it.
func blockEveryReason(e *env, top, cause string) {
	e.createAll("top", "mid<top", "leaf<mid")
	e.deactivate(top, t0, 10)
	n := 0
	try := func(reason store.BlockReason, edits ...func(*store.ClaimRequest)) {
		e.t.Helper()
		n++
		before := e.tenant(top).Version
		_, err := e.tryClaim(top, due10, edits...)
		e.wantBlocked(err, top, reason, cause)
		got := e.tenant(top)
		if got.Block == nil || got.Block.Reason != reason || got.Block.By != cause {
			e.t.Errorf("the record has the block %+v; want %s by %q", got.Block, reason, cause)
		}
		if got.Version != before || got.Status != store.StatusDisabled {
			e.t.Errorf("a block took the record from version %d to %d, %s", before, got.Version, got.Status)
		}
		e.wantBlockedStats(map[store.BlockReason]int64{reason: 1})
	}
	e.update(cause, t0, store.SetHold("litigation", time.Time{}))
	try(store.BlockHold)
	try(store.BlockHold, inline)
	e.update(cause, t0, store.SetHold("litigation", due10.Add(time.Millisecond)))
	try(store.BlockHold)
	e.update(cause, t0, store.Release())
	try(store.BlockProtected, protected(cause))
	e.subscribe(cause, 1)
	try(store.BlockActiveSubscriptions)
	e.subscribe(cause, 0)
	if cause != top {
		e.deactivate(cause, t0.Add(time.Millisecond), 10)
		try(store.BlockLaterDate)
		e.deactivate(cause, t0, 10)
	}
	e.reopen()
	e.claim(top, due10)
}

// blockWorst gives every reason to a descendant of its own and takes the
// worst one away, again and again.
func blockWorst(e *env) {
	e.createAll("top", "a-purging<top", "b-later<top", "c-paying<top", "d-listed<top", "e-held<top", "plain<e-held")
	e.deactivate("a-purging", t0, 10)
	e.deactivate("b-later", t0, 11)
	e.subscribe("c-paying", 1)
	e.update("e-held", t0, store.SetHold("r", time.Time{}))
	e.deactivate("top", t0, 10)
	claimed := e.claim("a-purging", due10)

	_, err := e.tryClaim("top", due10, protected("d-listed"))
	e.wantBlocked(err, "top", store.BlockHold, "e-held")
	e.update("e-held", t0, store.Release())
	_, err = e.tryClaim("top", due10, protected("d-listed"))
	e.wantBlocked(err, "top", store.BlockProtected, "d-listed")
	_, err = e.tryClaim("top", due10)
	e.wantBlocked(err, "top", store.BlockActiveSubscriptions, "c-paying")
	e.subscribe("c-paying", 0)
	_, err = e.tryClaim("top", due10)
	e.wantBlocked(err, "top", store.BlockLaterDate, "b-later")
	e.deactivate("b-later", t0, 10)
	_, err = e.tryClaim("top", due10)
	e.wantBlocked(err, "top", store.BlockPurging, "a-purging")
	e.finish(claimed.Token, due10)
	e.purge("top", due10)
}

func blockAmongEqual(e *env) {
	e.createAll("top", "z<top", "m<top", "b<m", "a<z")
	e.deactivate("top", t0, 10)
	hold := func(id string, until time.Time) { e.update(id, t0, store.SetHold("r", until)) }
	soon, late := due10.Add(time.Hour), due10.Add(2*time.Hour)
	for _, id := range []string{"z", "m", "b", "a"} {
		hold(id, soon)
	}
	try := func(want string) {
		e.t.Helper()
		_, err := e.tryClaim("top", due10)
		e.wantBlocked(err, "top", store.BlockHold, want)
	}
	try("a") // the smallest id
	hold("m", late)
	try("m") // the latest end
	hold("z", time.Time{})
	try("z") // no end is later than any
	hold("b", time.Time{})
	try("b")
	hold("top", soon)
	try("top") // the tenant itself before all
	if got := e.tenant("top").Block.Until; !got.Equal(soon) {
		e.t.Errorf("the block ends at %v; want %v, the end of its own hold", got, soon)
	}
}

// A block is news once: the same again writes nothing.
func blockKept(e *env) {
	e.createAll("top", "a<top", "b<top")
	e.update("a", t0, store.SetHold("r", due10.Add(time.Hour)))
	e.update("b", t0, store.SetHold("r", due10.Add(time.Hour)))
	e.deactivate("top", t0, 10)
	blocks := func(at time.Time) []store.Entry {
		e.t.Helper()
		head := e.head()
		if _, err := e.tryClaim("top", at); err == nil {
			e.t.Fatal("the claim was not refused")
		}
		return e.entries(head)
	}
	got := blocks(due10)
	if len(got) != 1 || got[0].Action != store.ActionBlock || got[0].TenantID != "top" || got[0].Actor != "system" {
		e.t.Fatalf("the first refusal wrote %+v; want one block entry", got)
	}
	for i := range 3 {
		if got := blocks(due10.Add(time.Duration(i) * time.Minute)); len(got) != 0 {
			e.t.Errorf("the same refusal again wrote %+v; want nothing", got)
		}
	}
	e.reopen()
	if got := blocks(due10.Add(10 * time.Minute)); len(got) != 0 {
		e.t.Errorf("the same refusal after a restart wrote %+v; want nothing", got)
	}
	e.update("a", due10, store.Release())
	if got := blocks(due10.Add(11 * time.Minute)); len(got) != 1 || got[0].Action != store.ActionBlock {
		e.t.Errorf("another cause wrote %+v; want one block entry", got)
	}
	e.update("b", due10, store.Release())
	e.subscribe("b", 1)
	if got := blocks(due10.Add(12 * time.Minute)); len(got) != 1 {
		e.t.Errorf("another reason wrote %+v; want one block entry", got)
	}
	e.equal(&store.Block{Reason: store.BlockActiveSubscriptions, By: "b"}, e.tenant("top").Block, fmt.Sprintf("the block of %q", "top"))
}
