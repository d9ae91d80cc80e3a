package storetest

import (
	"context"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
)

func statsCases() []testCase {
	return []testCase{
		{"OfANewStore", func(e *env) {
			st := e.stats(t0)
			st.Size = store.FileStats{}
			e.equal(store.Stats{}, dropZeros(st), "stats")
		}},
		{"OfOneOfEach", func(e *env) {
			e.createAll("active", "top", "below<top")
			e.disabled("waiting", "")
			e.deactivate("waiting", t0, 20)
			for _, id := range []string{"due", "held", "failed", "purged", "top"} {
				if id != "top" {
					e.create(id, "")
				}
				e.deactivate(id, t0.Add(-time.Hour), 10)
			}
			e.disabled("paying", "")
			e.subscribe("paying", 1)
			e.update("held", t0, store.SetHold("r", time.Time{}))
			resources := e.fillIfHeld("active", 1).Plus(e.fillIfHeld("below", 2)).Plus(e.fillIfHeld("held", 1))
			e.fillIfHeld("purged", 4)
			now := due10
			e.claim("top", now)
			e.postpone(e.claim("failed", now).Token, now, time.Time{})
			e.purge("purged", now)
			for _, id := range []string{"held", "paying"} {
				if _, err := e.tryClaim(id, now); err == nil {
					e.t.Fatalf("the claim of %q was not refused", id)
				}
			}
			want := store.Stats{
				Tenants:   map[store.Status]int64{store.StatusActive: 1, store.StatusDisabled: 4, store.StatusPurging: 2, store.StatusFailed: 1, store.StatusDeleted: 1},
				Resources: resources,
				Blocked:   map[store.BlockReason]int64{store.BlockHold: 1, store.BlockActiveSubscriptions: 1},
				Due:       1, OldestDue: due10.Add(-time.Hour), NextPurge: t0.Add(20 * day), OldestClaim: now, ClaimedLastDay: 4,
			}
			got := e.stats(now)
			head := got.AuditHead
			got.AuditHead, got.Size = store.AuditRef{}, store.FileStats{}
			e.equal(want, dropZeros(got), "stats")
			entries := e.entries(0)
			if last := entries[len(entries)-1]; head != (store.AuditRef{Seq: last.Seq, Hash: last.Hash}) {
				e.t.Errorf("the audit head is %+v; want that of %+v", head, last)
			}
			e.reopen()
			got = e.stats(now)
			got.AuditHead, got.Size = store.AuditRef{}, store.FileStats{}
			e.equal(want, dropZeros(got), "stats after a restart")
		}},
		{"DueFromTheInstantOn_G1", func(e *env) {
			e.disabled("acme", "")
			for at, want := range map[time.Time]store.Stats{
				due10.Add(-time.Millisecond): {NextPurge: due10},
				due10:                        {Due: 1, OldestDue: due10},
				farFuture:                    {Due: 1, OldestDue: due10},
			} {
				got := e.stats(at)
				if got.Due != want.Due || !got.OldestDue.Equal(want.OldestDue) || !got.NextPurge.Equal(want.NextPurge) {
					e.t.Errorf("at %s: due %d, oldest %v, next %v; want %d, %v, %v", store.FormatTime(at), got.Due, got.OldestDue, got.NextPurge, want.Due, want.OldestDue, want.NextPurge)
				}
			}
		}},
		{"TheOldestClaimUntilItEnds_G11", func(e *env) {
			at := func(hours int) time.Time { return due10.Add(time.Duration(hours) * time.Hour) }
			want := func(want time.Time) {
				e.t.Helper()
				for _, after := range []string{"", " after a restart"} {
					if got := e.stats(farFuture).OldestClaim; !got.Equal(want) {
						e.t.Errorf("the oldest claim is of %v%s; want %v", got, after, want)
					}
					e.reopen()
				}
			}
			want(time.Time{})
			tokens := map[string]store.Token{}
			for hour, id := range []string{"a", "b", "c", "d", "e"} {
				e.disabled(id, "")
				tokens[id] = e.claim(id, at(hour)).Token
			}
			want(at(0))
			resumed := func(id string) store.Token { return e.resume(id, at(100), owner("owner-2")).Token }
			tokens["a"] = resumed("a") // a new attempt is no new claim
			e.postpone(tokens["a"], at(100), at(101))
			want(at(0))
			e.finish(e.resume("a", at(101)).Token, at(101))
			want(at(1))
			e.finish(resumed("c"), at(100)) // not the oldest
			e.postpone(resumed("b"), at(100), time.Time{})
			want(at(3)) // a failed one is told of in another way
			e.update("b", at(101), store.Retry())
			want(at(1))
			for _, id := range []string{"b", "d", "e"} {
				e.finish(e.resume(id, at(102), owner("owner-3")).Token, at(102))
			}
			want(time.Time{})
			e.disabled("at-once", "")
			e.purge("at-once", at(102))
			want(time.Time{})
		}},
		{"ABlockedTenantIsNotDue", func(e *env) {
			e.blockedByHold("held")
			e.disabled("free", "")
			e.deactivate("free", t0.Add(time.Hour), 10)
			now := due10.Add(time.Hour)
			if st := e.stats(now); st.Due != 1 || !st.OldestDue.Equal(now) {
				e.t.Errorf("due %d, oldest %v; want 1, %v", st.Due, st.OldestDue, now)
			}
			// The record keeps its block until the next decision.
			e.update("held", now, store.Release())
			e.claim("held", now)
			e.wantBlockedStats(nil)
			if st := e.stats(now); st.Due != 1 {
				e.t.Errorf("due %d; want 1", st.Due)
			}
		}},
	}
}

// dropZeros takes zero counts out of the maps of a Stats, which may hold them.
func dropZeros(st store.Stats) store.Stats {
	tenants, blocked := map[store.Status]int64{}, map[store.BlockReason]int64{}
	for k, n := range st.Tenants {
		if n != 0 {
			tenants[k] = n
		}
	}
	for k, n := range st.Blocked {
		if n != 0 {
			blocked[k] = n
		}
	}
	st.Tenants, st.Blocked = tenants, blocked
	return st
}

// recount returns the stats that a reader of everything would come to, but for
// size, audit head and what was claimed.
func recount(ctx context.Context, s store.Store, now time.Time) (store.Stats, error) {
	st := store.Stats{Tenants: map[store.Status]int64{}, Blocked: map[store.BlockReason]int64{}}
	sn, err := readAll(ctx, s)
	if err != nil {
		return st, err
	}
	for _, tn := range sn.Tenants {
		st.Tenants[tn.Status]++
		for _, r := range sn.Resources[tn.ID] {
			st.Resources.Add(r.Kind, 1)
		}
		if p := tn.Purge; tn.Status == store.StatusPurging && p != nil && (st.OldestClaim.IsZero() || p.ClaimedAt.Before(st.OldestClaim)) {
			st.OldestClaim = p.ClaimedAt.Time
		}
		if tn.Status != store.StatusDisabled {
			continue
		}
		date := tn.EstimatedPurgeDate
		switch {
		case now.Before(date):
			if st.NextPurge.IsZero() || date.Before(st.NextPurge) {
				st.NextPurge = date
			}
		case tn.Block == nil:
			st.Due++
			if st.OldestDue.IsZero() || date.Before(st.OldestDue) {
				st.OldestDue = date
			}
		}
		if tn.Block != nil {
			st.Blocked[tn.Block.Reason]++
		}
	}
	if n := len(sn.Tombstones); n > 0 {
		st.Tenants[store.StatusDeleted] = int64(n)
	}
	return st, nil
}

// statsDiff compares the store's stats with a recount.
func statsDiff(ctx context.Context, s store.Store, now time.Time) (string, error) {
	want, err := recount(ctx, s, now)
	if err != nil {
		return "", err
	}
	got, err := s.Stats(ctx, now)
	if err != nil {
		return "", err
	}
	ignore := cmpopts.IgnoreFields(store.Stats{}, "Size", "AuditHead", "ClaimedLastDay")
	// SubTenants is not a count of resources; a store may fill it or not.
	got.Resources.SubTenants = 0
	return cmp.Diff(want, dropZeros(got), ignore, cmpopts.EquateEmpty()), nil
}
