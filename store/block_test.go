package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

// disabled returns a sound tenant that was disabled at t0 for 10 days.
func disabled(id string) store.Tenant {
	return store.Tenant{ID: id, Status: store.StatusDisabled, DisabledAt: t0, PurgeAfterDays: 10, EstimatedPurgeDate: store.PurgeDate(t0, 10)}
}

func protect(ids ...string) func(string) bool {
	return func(id string) bool {
		for _, p := range ids {
			if id == p {
				return true
			}
		}
		return false
	}
}

func TestBlockOf_G1_GivesEachReason(t *testing.T) {
	date := store.PurgeDate(t0, 10)
	early := date.Add(-time.Millisecond)
	until := date.Add(time.Hour)
	block := func(r store.BlockReason, until time.Time) *store.Block {
		return &store.Block{Reason: r, By: "a", Until: store.Timestamp{Time: until}}
	}
	for _, c := range []struct {
		name           string
		edit           func(*store.Tenant)
		now            time.Time
		protected      func(string) bool
		top, immediate bool
		want           *store.Block
	}{
		{name: "nothing", now: date, want: nil},
		{name: "a descendant before its date", now: early, want: block(store.BlockLaterDate, date)},
		{name: "the top before its date is no block", now: early, top: true, want: nil},
		{name: "an immediate deletion overrules the date", now: early, immediate: true, want: nil},
		{name: "a hold without an end", now: date, edit: func(t *store.Tenant) { t.Hold = &store.Hold{Reason: "r"} }, want: block(store.BlockHold, time.Time{})},
		{name: "a hold", now: until.Add(-time.Millisecond), edit: func(t *store.Tenant) { t.Hold = &store.Hold{Until: until} }, want: block(store.BlockHold, until)},
		{name: "a hold that ended", now: until, edit: func(t *store.Tenant) { t.Hold = &store.Hold{Until: until} }, want: nil},
		{name: "a hold of an active one", now: date, edit: func(t *store.Tenant) { *t = store.Tenant{ID: "a", Status: store.StatusActive, Hold: &store.Hold{}} }, want: block(store.BlockHold, time.Time{})},
		{name: "an immediate deletion does not overrule a hold", now: date, immediate: true, edit: func(t *store.Tenant) { t.Hold = &store.Hold{} }, want: block(store.BlockHold, time.Time{})},
		{name: "protected", now: date, protected: protect("a"), want: block(store.BlockProtected, time.Time{})},
		{name: "another is protected", now: date, protected: protect("b"), want: nil},
		{name: "protected, immediate", now: date, immediate: true, protected: protect("a"), want: block(store.BlockProtected, time.Time{})},
		{name: "subscriptions", now: date, edit: func(t *store.Tenant) { t.ActiveSubscriptions = 1 }, want: block(store.BlockActiveSubscriptions, time.Time{})},
		{name: "subscriptions, immediate", now: date, immediate: true, edit: func(t *store.Tenant) { t.ActiveSubscriptions = 1 }, want: block(store.BlockActiveSubscriptions, time.Time{})},
		{name: "no date", now: date, edit: func(t *store.Tenant) { t.EstimatedPurgeDate = time.Time{} }, want: block(store.BlockInvalidDate, time.Time{})},
		{name: "no date, top", now: date, top: true, edit: func(t *store.Tenant) { t.DisabledAt = time.Time{} }, want: block(store.BlockInvalidDate, time.Time{})},
		{name: "an active one does not block", now: early, edit: func(t *store.Tenant) { *t = store.Tenant{ID: "a", Status: store.StatusActive} }, want: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tn := disabled("a")
			if c.edit != nil {
				c.edit(&tn)
			}
			got := store.BlockOf(&tn, c.now, c.protected, c.top, c.immediate)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// Each reason hides those after it: taking the first away shows the next.
func TestBlockOf_Precedence(t *testing.T) {
	tn := disabled("a")
	tn.Hold = &store.Hold{}
	tn.ActiveSubscriptions = 2
	early := t0
	protected := protect("a")
	for _, want := range []store.BlockReason{store.BlockHold, store.BlockProtected, store.BlockActiveSubscriptions, store.BlockLaterDate} {
		got := store.BlockOf(&tn, early, protected, false, false)
		if got == nil || got.Reason != want {
			t.Fatalf("got %v; want %s", got, want)
		}
		switch want {
		case store.BlockHold:
			tn.Hold = nil
		case store.BlockProtected:
			protected = nil
		case store.BlockActiveSubscriptions:
			tn.ActiveSubscriptions = 0
		}
	}
}

func TestWorse_PrefersReasonThenTopThenEndThenID(t *testing.T) {
	b := func(r store.BlockReason, by string, until time.Time) *store.Block {
		return &store.Block{Reason: r, By: by, Until: store.Timestamp{Time: until}}
	}
	soon, late := t0, t0.Add(time.Hour)
	for _, c := range []struct {
		name             string
		preferred, other *store.Block
	}{
		{"a block over none", b(store.BlockPurging, "x", soon), nil},
		{"the stronger reason", b(store.BlockHold, "z", soon), b(store.BlockProtected, "top", time.Time{})},
		{"hold before purging", b(store.BlockHold, "z", soon), b(store.BlockPurging, "a", late)},
		{"the tenant itself", b(store.BlockHold, "top", soon), b(store.BlockHold, "a", time.Time{})},
		{"the latest end", b(store.BlockLaterDate, "z", late), b(store.BlockLaterDate, "a", soon)},
		{"no end is the latest", b(store.BlockHold, "z", time.Time{}), b(store.BlockHold, "a", late)},
		{"the smallest id", b(store.BlockHold, "a", late), b(store.BlockHold, "b", late)},
		{"the smallest id without ends", b(store.BlockProtected, "a", time.Time{}), b(store.BlockProtected, "a.b", time.Time{})},
	} {
		if got := store.Worse("top", c.preferred, c.other); got != c.preferred {
			t.Errorf("%s: got %v", c.name, got)
		}
		if got := store.Worse("top", c.other, c.preferred); got != c.preferred {
			t.Errorf("%s, swapped: got %v", c.name, got)
		}
	}
	if store.Worse("top", nil, nil) != nil {
		t.Error("two times nothing is something")
	}
}

// A store may visit a subtree in any order, so the order must not matter.
func TestWorse_DoesNotDependOnTheOrder(t *testing.T) {
	ends := map[string]time.Duration{"top": 0, "a": 1, "b": 2, "c": 2, "d": 0}
	blocks := rapid.Custom(func(t *rapid.T) *store.Block {
		if rapid.IntRange(0, 4).Draw(t, "none") == 0 {
			return nil
		}
		b := &store.Block{
			Reason: rapid.SampledFrom(store.BlockReasons()).Draw(t, "reason"),
			By:     rapid.SampledFrom([]string{"top", "a", "b", "c", "d"}).Draw(t, "by"),
		}
		// A tenant gives a reason with one end only.
		if n := ends[b.By]; n > 0 {
			b.Until.Time = t0.Add(n * time.Hour)
		}
		return b
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := blocks.Draw(t, "a"), blocks.Draw(t, "b"), blocks.Draw(t, "c")
		if diff := cmp.Diff(store.Worse("top", a, b), store.Worse("top", b, a)); diff != "" {
			t.Fatalf("not commutative: %s", diff)
		}
		left := store.Worse("top", store.Worse("top", a, b), c)
		right := store.Worse("top", a, store.Worse("top", b, c))
		if diff := cmp.Diff(left, right); diff != "" {
			t.Fatalf("not associative: %s", diff)
		}
	})
}
