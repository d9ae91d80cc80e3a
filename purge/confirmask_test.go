package purge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func source(s purge.Source) func(*purge.Options) {
	return func(o *purge.Options) { o.Source = s }
}

// errSourceDown is what a source says that cannot be reached.
var errSourceDown = store.Errorf(store.Unavailable, "connection refused")

func down(context.Context, string) error { return errSourceDown }

// confirmation is what the source says of acme, which is due, and of acme-1 and
// acme-2 below it, of which the latter is due by itself too.
type confirmation struct {
	rows []purge.SourceRow
	want map[string]string // outcomes of a pass, and of a plan
	kept []purge.SourceRow // after a pass
}

func confirmations(now time.Time) map[string]confirmation {
	date, later := now.Add(-time.Hour), now.Add(72*time.Hour)
	acme, one, two := offAt("acme", "", date), on("acme-1", "acme"), offAt("acme-2", "acme", date)
	bad := purge.SourceRow{Tenant: purge.SourceTenant{ID: "acme-1"}, Err: errors.New("bad")}
	nodate := acme
	nodate.Tenant.DisabledAt = time.Time{}
	type (
		rows = []purge.SourceRow
		out  = map[string]string
	)
	all := out{"acme": "deleted"}
	apart := func(top string) out { return out{"acme": "blocked: " + top, "acme-2": "deleted"} }
	return map[string]confirmation{
		"as it is kept":                   {rows{acme, one, two}, all, nil},
		"another date that has come":      {rows{offAt("acme", "", now.Add(-48*time.Hour)), one, two}, all, nil},
		"active":                          {rows{on("acme", ""), one, two}, out{"acme-2": "deleted"}, rows{on("acme", ""), one}},
		"all active":                      {rows{on("acme", ""), one, on("acme-2", "acme")}, out{}, rows{on("acme", ""), one, on("acme-2", "acme")}},
		"a later date":                    {rows{offAt("acme", "", later), one, two}, out{"acme-2": "deleted"}, rows{offAt("acme", "", later), one}},
		"not there":                       {rows{one, two}, apart("vanished by acme"), rows{acme, one}},
		"nothing there":                   {nil, out{"acme": "blocked: vanished by acme", "acme-2": "blocked: vanished by acme-2"}, rows{acme, one, two}},
		"no date":                         {rows{nodate, one, two}, apart("source by acme"), rows{acme, one}},
		"a sub-tenant not there":          {rows{acme, two}, apart("vanished by acme-1"), rows{acme, one}},
		"a sub-tenant elsewhere":          {rows{acme, on("acme-1", ""), two}, apart("moved by acme-1"), rows{acme, one}},
		"elsewhere":                       {rows{offAt("acme", "globex", date), one, two}, apart("moved by acme"), rows{acme, one}},
		"a sub-tenant nobody understands": {rows{acme, bad, two}, apart("source by acme-1"), rows{acme, one}},
		"a sub-tenant with a later date":  {rows{acme, offAt("acme-1", "acme", later), two}, apart("later_date by acme-1"), rows{acme, one}},
		"a sub-tenant put off": {rows{acme, one, offAt("acme-2", "acme", later)}, out{"acme": "blocked: later_date by acme-2"},
			rows{acme, one, offAt("acme-2", "acme", later)}},
		"a sub-tenant reactivated":      {rows{acme, one, on("acme-2", "acme")}, all, nil},
		"a sub-tenant disabled and due": {rows{acme, offAt("acme-1", "acme", date), two}, all, nil},
	}
}

// kept returns the tenant of a row as it is kept.
func kept(r purge.SourceRow) store.Tenant {
	v := active(r.Tenant.ID, r.Tenant.ParentID)
	if r.Tenant.Status == store.StatusDisabled {
		v.Status, v.DisabledAt, v.PurgeAfterDays = store.StatusDisabled, r.Tenant.DisabledAt, r.Tenant.PurgeAfterDays
		v.EstimatedPurgeDate = store.PurgeDate(v.DisabledAt, v.PurgeAfterDays)
	}
	return v
}

func TestRun_G1_NothingIsPurgedThatTheSourceDoesNotConfirm(t *testing.T) {
	now := time.Now()
	before := confirmations(now)["as it is kept"].rows
	for name, c := range confirmations(now) {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batch %t", name, many), func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				fill(t, s, []store.Tenant{kept(before[0]), kept(before[1]), kept(before[2])}, nil)
				d := &directory{}
				d.set(c.rows...)
				var src purge.Source = d
				if many {
					src = &batched{directory: d}
				}
				e := newEngine(t, s, source(src))
				unchanged(t, s, "a plan", func() {
					r, err := e.Plan(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					wantOutcomes(t, r, c.want)
				})
				wantOutcomes(t, mustRun(t, e), c.want)
				wantContents(t, s, c.kept...)
			})
		}
	}
}

func TestRun_G1_ASourceThatDoesNotAnswerPostponesWithoutAnAttempt(t *testing.T) {
	for name, ask := range map[string]func(context.Context, string) error{
		"an error":    down,
		"no code":     func(context.Context, string) error { return errors.New("odd") },
		"a panic":     func(context.Context, string) error { panic("boom") },
		"no answer":   func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"not allowed": func(context.Context, string) error { return store.Errorf(store.Unauthenticated, "401") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				d := &directory{ask: ask}
				rows := []purge.SourceRow{dueRow("a", ""), dueRow("b", "")}
				fill(t, s, []store.Tenant{kept(rows[0]), kept(rows[1])}, resources("a", 1))
				d.set(rows...)
				e := newEngine(t, s, source(d), setting(func(s *purge.Settings) { s.CallTimeout = 7 * time.Second }))
				want := map[string]string{"a": "blocked: source_down by a", "b": "blocked: source_down by b"}
				for range 2 {
					began := time.Now()
					wantOutcomes(t, mustRun(t, e), want)
					if took := time.Since(began); took > 2*7*time.Second {
						t.Errorf("the pass took %s", took)
					}
					wantStatus(t, s, store.StatusDisabled, "a", "b")
					if v, err := s.Tenant(context.Background(), "a"); err != nil || v.Purge != nil || v.Block == nil || v.Block.Reason != store.BlockSourceDown {
						t.Errorf("a: %+v, %v; want it blocked, and no attempt counted", v, err)
					}
				}
				if r, err := e.Plan(context.Background()); err != nil {
					t.Error(err)
				} else {
					wantOutcomes(t, r, want)
				}
				d.ask = nil
				wantOutcomes(t, mustRun(t, e), map[string]string{"a": "deleted", "b": "deleted"})
			})
		})
	}
}

func TestRun_ASourceThatIsDownIsNotAskedForEachTenant(t *testing.T) {
	s := newStore(t)
	var list []store.Tenant
	for i := range 200 {
		list = append(list, due(fmt.Sprintf("t%03d", i), ""))
	}
	fill(t, s, list, nil)
	d := &directory{ask: down}
	one := setting(func(s *purge.Settings) { s.Concurrency = 1 })
	r := mustRun(t, newEngine(t, s, source(d), one))
	if n := len(d.asked()); r.Totals.Blocked != 200 || n == 0 || n > 100 {
		t.Errorf("%d are blocked, and the source was asked %d times", r.Totals.Blocked, n)
	}
}

func TestRun_WhatWaitsAnywayIsNotAskedAbout(t *testing.T) {
	s := newStore(t)
	held := with(due("held", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "legal"} })
	fill(t, s, []store.Tenant{held, due("acme", "")}, nil)
	d := &directory{}
	d.set(dueRow("acme", ""), dueRow("held", ""))
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"held": "blocked: hold by held", "acme": "deleted"})
	if got := d.asked(); !cmp.Equal(got, []string{"acme"}) {
		t.Errorf("asked about %v", got)
	}
}

func TestRun_WhatIsClaimedIsResumedWhateverTheSourceSays(t *testing.T) {
	s := newStore(t)
	row := dueRow("acme", "")
	fill(t, s, []store.Tenant{kept(row)}, nil)
	d := &directory{}
	d.set(row)
	crm := newFake("crm", map[string]store.Counts{"acme": {Users: 1}})
	broken := true
	crm.before = func(context.Context, call) error {
		if broken {
			return store.Errorf(store.Unavailable, "no")
		}
		return nil
	}
	e := newEngine(t, s, source(d), targets(crm))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
	broken, d.ask = false, down
	if _, err := s.Update(context.Background(), "acme", store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry()}); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
}

func TestRun_AnAnswerThatIsTooOldIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		rows := []purge.SourceRow{off("a", "", -2*time.Hour), off("b", "", -time.Hour)}
		fill(t, s, []store.Tenant{kept(rows[0]), kept(rows[1])}, nil)
		d := &directory{}
		d.set(rows...)
		var once sync.Once
		d.ask = func(_ context.Context, id string) error {
			if id == "a" { // b is asked about meanwhile, and has its turn behind a
				time.Sleep(20 * time.Second)
				once.Do(func() { d.set(rows[0], on("b", "")) })
			}
			return nil
		}
		e := newEngine(t, s, source(d), setting(func(s *purge.Settings) { s.CallTimeout = time.Minute }))
		wantOutcomes(t, mustRun(t, e), map[string]string{"a": "deleted"})
		wantStatus(t, s, store.StatusActive, "b")
		if got := d.asked(); !cmp.Equal(got, []string{"a", "b", "b"}) {
			t.Errorf("asked about %v", got)
		}
	})
}

func TestRun_OneSlowAnswerDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var rows []purge.SourceRow
		var list []store.Tenant
		for i := range 50 {
			r := dueRow(fmt.Sprintf("t%02d", i), "")
			rows, list = append(rows, r), append(list, kept(r))
		}
		fill(t, s, list, nil)
		d := &directory{ask: func(context.Context, string) error { time.Sleep(2 * time.Second); return nil }}
		d.set(rows...)
		began := time.Now()
		r := mustRun(t, newEngine(t, s, source(d)))
		if took := time.Since(began); r.Totals.Deleted != 50 || took > 10*time.Second {
			t.Errorf("%d were purged in %s; want 50, asked side by side", r.Totals.Deleted, took)
		}
	})
}

func TestRun_TellsWhyTheSourceDidNotConfirm(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	log, logs := observed(zapcore.WarnLevel)
	mustRun(t, newEngine(t, s, source(&directory{ask: down}), log))
	if logs.FilterFieldKey("error").Len() != 1 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()), "connection refused") {
		t.Errorf("log %+v", logs.All())
	}
}

func TestDelete_AsksTheSourceToo(t *testing.T) {
	for name, c := range map[string]struct {
		policy purge.DeletePolicy
		rows   []purge.SourceRow
		ask    func(context.Context, string) error
		want   store.Code
	}{
		"as it is kept":           {purge.DeleteDisabled, []purge.SourceRow{off("acme", "", time.Hour), on("sub", "acme")}, nil, ""},
		"active there":            {purge.DeleteDisabled, []purge.SourceRow{on("acme", ""), on("sub", "acme")}, nil, store.Precondition},
		"active there, any":       {purge.DeleteAny, []purge.SourceRow{on("acme", ""), on("sub", "acme")}, nil, ""},
		"not there":               {purge.DeleteDisabled, nil, nil, ""},
		"no answer":               {purge.DeleteDisabled, nil, down, store.Precondition},
		"no answer, any":          {purge.DeleteAny, nil, down, store.Precondition},
		"a sub-tenant elsewhere":  {purge.DeleteAny, []purge.SourceRow{off("acme", "", time.Hour), on("sub", "globex")}, nil, store.Precondition},
		"a sub-tenant that waits": {purge.DeleteDisabled, []purge.SourceRow{off("acme", "", time.Hour), off("sub", "acme", 48*time.Hour)}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			fill(t, s, []store.Tenant{disabled("acme", "", 24*time.Hour), active("sub", "acme")}, nil)
			d := &directory{ask: c.ask}
			d.set(c.rows...)
			e := newEngine(t, s, source(d), setting(func(s *purge.Settings) { s.ImmediateDelete = c.policy }))
			_, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
			if store.CodeOf(err) != c.want {
				t.Errorf("Delete: %v; want %q", err, c.want)
			}
			want := store.StatusDeleted
			if c.want != "" {
				want = store.StatusDisabled
			}
			wantStatus(t, s, want, "acme")
		})
	}
}

func TestNew_RefusesASourceWithoutAName(t *testing.T) {
	_, err := purge.New(purge.Options{Store: newStore(t), Source: misnamed{&directory{}}, Settings: unlimited()})
	if store.CodeOf(err) != store.Invalid {
		t.Errorf("New: %v", err)
	}
}

type misnamed struct{ purge.Source }

func (misnamed) Name() string { return "a b" }
