package purge_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// lossy is a target that loses the answer to its first removal of users.
func lossy(books map[string]store.Counts) *fake {
	f := newFake("crm", map[string]store.Counts{"acme": each(5, 0)})
	lost := false
	f.books = books
	f.after = func(_ context.Context, c call) error {
		if c.Kind == store.KindUser && !lost {
			lost = true
			return context.DeadlineExceeded
		}
		return nil
	}
	return f
}

// purgedAtLast runs passes until acme is purged, and returns its receipt.
func purgedAtLast(t *testing.T, list ...purge.Target) store.Receipt {
	t.Helper()
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	e := newEngine(t, s, targets(list...), setting(func(s *purge.Settings) { s.Batch = 2 }))
	for range 5 {
		if _, err := e.Run(t.Context(), purge.TriggerRun); err != nil {
			t.Fatal(err)
		}
		tenant, err := s.Tenant(t.Context(), "acme")
		if store.CodeOf(err) == store.Gone {
			return receipt(t, s, "acme")
		}
		if err != nil || tenant.Purge == nil {
			t.Fatalf("acme is %+v, %v", tenant, err)
		}
		time.Sleep(time.Until(tenant.Purge.NextAttempt.Time))
	}
	t.Fatal("acme is not purged after 5 passes")
	return store.Receipt{}
}

func TestRun_G5_AccountsMakeUpForLostAnswers(t *testing.T) {
	crmUsers := []store.LowerBound{{Target: "crm", Kind: store.KindUser}}
	for name, c := range map[string]struct {
		books  map[string]store.Counts
		before func(context.Context, call) error
		also   []purge.Target
		exact  bool
		users  int64
		bounds []store.LowerBound
	}{
		"Account":   {books: map[string]store.Counts{}, exact: true, users: 5},
		"NoAccount": {users: 3, bounds: crmUsers},
		// Once more, and not for ever.
		"UnreachableOnce": {books: map[string]store.Counts{}, before: refusing("account", 1, store.Unavailable), exact: true, users: 5},
		"Refused":         {books: map[string]store.Counts{}, before: refusing("account", 1_000, store.Forbidden), users: 3, bounds: crmUsers},
		"AnotherHasNoneAndLostNothing": {books: map[string]store.Counts{}, exact: true, users: 5,
			also: []purge.Target{newFake("idp", map[string]store.Counts{"acme": each(1, 0)})}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := lossy(c.books)
				f.before = c.before
				r := purgedAtLast(t, append(c.also, f)...)
				if r.CountsExact != c.exact || r.Targets["crm"].Users != c.users {
					t.Errorf("the receipt says %+v, exact: %t; want %d users and %t", r.Targets["crm"], r.CountsExact, c.users, c.exact)
				}
				if !slices.Equal(r.LowerBounds, c.bounds) {
					t.Errorf("the receipt names as a lower bound %v, want %v", r.LowerBounds, c.bounds)
				}
			})
		})
	}
}

// TestRun_G5_AnAccountThatLacksWhatIsOnRecordIsNotBelieved empties the account
// in the midst of the purge.
func TestRun_G5_AnAccountThatLacksWhatIsOnRecordIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lossy(map[string]store.Counts{})
		f.before = func(_ context.Context, c call) error {
			if c.Op == "account" {
				f.mu.Lock()
				defer f.mu.Unlock()
				clear(f.books)
			}
			return nil
		}
		if r := purgedAtLast(t, f); r.CountsExact || r.Targets["crm"] != (store.Counts{Users: 3, Credentials: 5, APIKeys: 5, OAuthClients: 5}) {
			t.Errorf("the receipt says %+v, exact: %t", r.Targets["crm"], r.CountsExact)
		}
	})
}

// TestRun_G5_AnAccountThatWasBegunLateIsNotBelieved: what was removed before is
// not in it.
func TestRun_G5_AnAccountThatWasBegunLateIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lossy(nil)
		f.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && c.Kind == store.KindUser {
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.books == nil {
					f.books = map[string]store.Counts{}
				}
			}
			return nil
		}
		if r := purgedAtLast(t, f); r.CountsExact {
			t.Errorf("the receipt says exactly %+v", r.Targets["crm"])
		}
	})
}

// TestRun_G5_NothingIsRemovedWhileTheAccountIsAway takes the books away after the
// first of several steps, also across a restart.
func TestRun_G5_NothingIsRemovedWhileTheAccountIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		f := lossy(map[string]store.Counts{})
		books := f.books
		f.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && c.Kind == store.KindCredential {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.books = nil
			}
			return nil
		}
		small := setting(func(s *purge.Settings) { s.Batch, s.Attempts = 2, 100 })
		for range 3 { // the users of a failed kind would be next
			mustRun(t, newEngine(t, s, targets(f), small))
			time.Sleep(24 * time.Hour)
		}
		if got := f.has("acme"); got.Credentials != 5 || got.Users != 5 {
			t.Errorf("left without books: %+v", got)
		}
		f.before, f.books = nil, books
		for range 2 {
			mustRun(t, newEngine(t, s, targets(f), small))
			time.Sleep(24 * time.Hour)
		}
		if r := receipt(t, s, "acme"); !r.CountsExact || r.Deleted.Resources() != 20 {
			t.Errorf("the receipt says %+v, exact: %t", r.Deleted, r.CountsExact)
		}
	})
}

// TestRun_G11_AnAccountThatHangsIsBoundedByThePolicy, and is asked for again.
func TestRun_G11_AnAccountThatHangsIsBoundedByThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lossy(map[string]store.Counts{})
		hung := false
		f.before = func(ctx context.Context, c call) error {
			if c.Op == "account" && !hung {
				hung = true
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		began := time.Now()
		if r := purgedAtLast(t, guarded(t, f, plain())); !r.CountsExact || r.Targets["crm"].Users != 5 {
			t.Errorf("the receipt says %+v, exact: %t", r.Targets["crm"], r.CountsExact)
		}
		if !hung || time.Since(began) > time.Hour {
			t.Errorf("hung: %t; it took %s", hung, time.Since(began))
		}
	})
}

// refusing returns a fault of the first n operations op.
func refusing(op string, n int, code store.Code) func(context.Context, call) error {
	return func(_ context.Context, c call) error {
		if c.Op == op && n > 0 {
			n--
			return store.Errorf(code, "a fault")
		}
		return nil
	}
}
