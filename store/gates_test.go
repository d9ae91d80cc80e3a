package store_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantpurge/purger/store"
)

func TestGates_G9_ClosedInTheirOrder(t *testing.T) {
	g := store.Gates{
		Pause:  &store.Pause{Reason: "maintenance", Until: store.Timestamp{Time: t0}},
		Halt:   &store.Halt{Limit: "limits.perDay", Detail: "3 of 3"},
		Import: &store.Import{Digest: "abc"},
	}
	reasons := func(now time.Time) []store.GateReason {
		var r []store.GateReason
		for _, c := range g.Closed(now) {
			r = append(r, c.Reason)
		}
		return r
	}
	if diff := cmp.Diff([]store.GateReason{store.GateHalted, store.GateImport, store.GatePaused}, reasons(t0.Add(-time.Millisecond))); diff != "" {
		t.Error(diff)
	}
	// A pause lifts itself exactly at its end.
	if diff := cmp.Diff([]store.GateReason{store.GateHalted, store.GateImport}, reasons(t0)); diff != "" {
		t.Error(diff)
	}
	if open := (&store.Gates{Allowance: 7}).Closed(t0); open != nil {
		t.Errorf("open gates: %v", open)
	}
	if c := (&store.Gates{Pause: &store.Pause{Reason: "r"}}).Closed(t0.AddDate(200, 0, 0)); len(c) != 1 || c[0].Detail != "r" {
		t.Errorf("a pause without an end after 200 years: %v", c)
	}
}

func TestPausePurging_RefusesAndReplaces(t *testing.T) {
	var g store.Gates
	o := store.Origin{Actor: alice, At: t0}
	for _, c := range []struct {
		reason, field string
		until         time.Time
	}{
		{"", "reason", time.Time{}}, {"a\nb", "reason", time.Time{}}, {strings.Repeat("x", 1025), "reason", time.Time{}},
		{"r", "until", t0}, {"r", "until", t0.Add(-time.Hour)},
		{"r", "until", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := store.PausePurging(c.reason, c.until).Apply(&g, o)
		wantInvalid(t, err, c.field)
		if g.Pause != nil {
			t.Fatal("refused, and paused")
		}
	}
	for _, until := range []time.Time{{}, t0.Add(time.Millisecond)} {
		if _, err := store.PausePurging("r", until).Apply(&g, o); err != nil {
			t.Fatal(err)
		}
		want := &store.Pause{Reason: "r", Actor: alice, Since: store.Timestamp{Time: t0}, Until: store.Timestamp{Time: until}}
		if diff := cmp.Diff(want, g.Pause); diff != "" {
			t.Error(diff)
		}
	}
}

func TestProlongPause_G9_NeverEndsAPauseEarlier(t *testing.T) {
	o := store.Origin{Actor: alice, At: t0}
	at := func(d time.Duration) store.Timestamp { return store.Timestamp{Time: t0.Add(d)} }
	for name, c := range map[string]struct {
		is      *store.Pause
		until   time.Time
		refused bool
	}{
		"none":                      {nil, t0.Add(time.Hour), false},
		"later":                     {&store.Pause{Until: at(time.Hour)}, t0.Add(2 * time.Hour), false},
		"the same end":              {&store.Pause{Until: at(time.Hour)}, t0.Add(time.Hour), false},
		"a millisecond earlier":     {&store.Pause{Until: at(time.Hour)}, t0.Add(time.Hour - time.Millisecond), true},
		"an end for one without":    {&store.Pause{}, t0.AddDate(100, 0, 0), true},
		"no end":                    {&store.Pause{Until: at(time.Hour)}, time.Time{}, false},
		"both without":              {&store.Pause{}, time.Time{}, false},
		"one that ends just now":    {&store.Pause{Until: at(0)}, t0.Add(time.Millisecond), false},
		"one that has yet to end":   {&store.Pause{Until: at(2 * time.Millisecond)}, t0.Add(time.Millisecond), true},
		"one that is long over":     {&store.Pause{Until: at(-time.Hour)}, t0.Add(time.Millisecond), false},
		"one that ends in the past": {&store.Pause{Until: at(time.Hour)}, t0, true},
	} {
		g := store.Gates{Pause: c.is}
		before := g.Digest()
		_, err := store.ProlongPause("r", c.until).Apply(&g, o)
		if (err != nil) != c.refused || c.refused != (g.Digest() == before) {
			t.Errorf("%s: %v, %+v", name, err, g.Pause)
		}
		if c.refused && c.until.After(t0) && (store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "resume")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResumePurging_LiftsAHaltOnlyWithAReason_G9(t *testing.T) {
	halted := func() store.Gates {
		return store.Gates{Halt: &store.Halt{Limit: "limits.perDay"}, Pause: &store.Pause{Reason: "r"}, Allowance: 9, Import: &store.Import{Digest: "d"}}
	}
	o := store.Origin{Actor: alice, At: t0}
	for _, c := range []struct {
		reason string
		allow  int64
		field  string
	}{{"", 0, "reason"}, {"a\x00", 0, "reason"}, {"r", -1, "allow"}} {
		g := halted()
		_, err := store.ResumePurging(c.reason, c.allow).Apply(&g, o)
		wantInvalid(t, err, c.field)
		if diff := cmp.Diff(halted(), g); diff != "" {
			t.Errorf("refused, and changed: %s", diff)
		}
	}
	g := halted()
	detail, err := store.ResumePurging("checked", 3).Apply(&g, o)
	if err != nil || detail["lifted"] != "limits.perDay" || detail["allow"] != "3" || detail["reason"] != "checked" {
		t.Fatalf("detail %v, %v", detail, err)
	}
	// An import is not lifted by a person: it has to be completed.
	if diff := cmp.Diff(store.Gates{Allowance: 3, Import: &store.Import{Digest: "d"}}, g); diff != "" {
		t.Error(diff)
	}
	g = store.Gates{Pause: &store.Pause{Reason: "r"}, Allowance: 5}
	if _, err := store.ResumePurging("", 0).Apply(&g, o); err != nil || g.Pause != nil || g.Allowance != 0 {
		t.Errorf("a pause is lifted without a reason: %+v, %v", g, err)
	}
}

func TestQuota_G9_NeverGivesMoreThanItHas(t *testing.T) {
	q := store.NewQuota(3)
	for _, c := range []struct {
		id   string
		n    int64
		want bool
	}{{"a", 2, true}, {"b", 2, false}, {"b", 1, true}, {"c", 1, false}, {"a", 2, true}, {"a", 3, false}, {"a", 1, true}, {"c", 1, true}} {
		if got := q.Reserve(c.id, c.n); got != c.want {
			t.Fatalf("Reserve(%q, %d) = %v; want %v", c.id, c.n, got, c.want)
		}
	}
	q.Release("a")
	q.Release("a")
	q.Release("never")
	if !q.Reserve("d", 1) || q.Reserve("e", 1) {
		t.Error("a release gives back exactly what was taken")
	}
	if q.Max() != 3 {
		t.Errorf("Max %d; want 3", q.Max())
	}
}

func TestQuota_WithoutABound(t *testing.T) {
	var none *store.Quota
	for _, q := range []*store.Quota{none, {}, store.NewQuota(0), store.NewQuota(-1)} {
		if !q.Reserve("a", 1<<60) || !q.Reserve("b", 1<<60) || q.Max() != 0 {
			t.Errorf("%+v bounds something", q)
		}
		q.Release("a")
	}
}

func TestQuota_G9_ConcurrentClaimsShareIt(t *testing.T) {
	q := store.NewQuota(100)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var got int64
	for i := range 64 {
		id := string(rune('A' + i))
		wg.Go(func() {
			for range 10 {
				if q.Reserve(id, 3) {
					mu.Lock()
					got++
					mu.Unlock()
					q.Release(id)
				}
			}
			if q.Reserve(id, 3) {
				mu.Lock()
				defer mu.Unlock()
				got = got + 1_000_000
			}
		})
	}
	wg.Wait()
	if kept := got / 1_000_000; kept != 33 {
		t.Errorf("%d claims of 3 were kept in a quota of 100; want 33", kept)
	}
}
