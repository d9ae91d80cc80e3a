package purge_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestRun_PurgesWholeSubtreeAndReportsIt(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{
		due("acme", ""), active("acme-eu", "acme"), active("acme-eu-1", "acme-eu"), active("globex", ""),
	}, append(append(append(resources("acme", 2), resources("acme-eu", 3)...), resources("acme-eu-1", 4)...), resources("globex", 5)...))
	log, logs := observed(zapcore.InfoLevel)
	e := newEngine(t, s, log)

	r := mustRun(t, e)
	wantResult(t, r, purge.ResultOK)
	wantOutcomes(t, r, map[string]string{"acme": "deleted"})
	if got, want := r.Tenants[0].ResourcesDeleted, each(9, 2); got != want {
		t.Errorf("deleted %+v, want %+v", got, want)
	}
	want := purge.Totals{Counts: each(9, 2), Tenants: 3, Deleted: 1}
	if r.Totals != want {
		t.Errorf("totals %+v, want %+v", r.Totals, want)
	}
	wantStatus(t, s, store.StatusDeleted, "acme", "acme-eu", "acme-eu-1")
	wantStatus(t, s, store.StatusActive, "globex")
	if n, err := s.Count(context.Background(), "globex"); err != nil || n != each(5, 0) {
		t.Errorf("globex has %+v, %v", n, err)
	}
	if got := receipt(t, s, "acme"); !got.CountsExact || got.Deleted != each(9, 2) || got.Trigger != "run" || got.ClaimedBy != "purger" {
		t.Errorf("receipt %+v", got)
	}

	lines := logs.FilterMessage("tenant purged").All()
	if len(lines) != 1 {
		t.Fatalf("%d log lines for one tenant", len(lines))
	}
	f := lines[0].ContextMap()
	if f["tenant"] != "acme" || f["users"] != int64(9) || f["subTenants"] != int64(2) || f["lateness"].(time.Duration) < time.Hour {
		t.Errorf("log line %v", f)
	}

	runs, err := s.Runs(context.Background(), 10)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	if got := runs[0]; got.ID != r.ID || got.Result != "ok" || got.Tenants != 3 || got.Deleted != each(9, 2) {
		t.Errorf("recorded run %+v", got)
	}
}

func TestRun_NothingDueIsAnEmptyListNotNull(t *testing.T) {
	s := newStore(t)
	b, err := json.Marshal(mustRun(t, newEngine(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{}, m["tenants"]); diff != "" {
		t.Errorf("tenants in %s", b)
	}
	for _, key := range []string{"id", "trigger", "startedAt", "finishedAt", "result", "totals"} {
		if _, ok := m[key]; !ok {
			t.Errorf("no %q in %s", key, b)
		}
	}
	totals, _ := m["totals"].(map[string]any)
	for _, key := range []string{"users", "credentials", "apiKeys", "oauthClients", "subTenants", "tenants"} {
		if _, ok := totals[key]; !ok {
			t.Errorf("no totals.%s in %s", key, b)
		}
	}
	for _, key := range []string{"gate", "error", "omitted"} {
		if _, ok := m[key]; ok {
			t.Errorf("%q in %s", key, b)
		}
	}
}

func TestRun_G1_PurgesAtTheDateAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{disabled("acme", "", time.Hour)}, resources("acme", 1))
		e := newEngine(t, s)
		time.Sleep(time.Hour - time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{})
		wantStatus(t, s, store.StatusDisabled, "acme")
		time.Sleep(time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		wantStatus(t, s, store.StatusDeleted, "acme")
	})
}

func TestRun_G1_ParentWaitsForDescendantsLaterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{
			disabled("acme", "", time.Hour), active("acme-eu", "acme"), disabled("acme-eu-1", "acme-eu", 3*time.Hour),
		}, nil)
		e := newEngine(t, s)
		time.Sleep(3*time.Hour - time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: later_date by acme-eu-1"})
		time.Sleep(time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
	})
}

func TestRun_SaysForWhomABlockedTenantWaits(t *testing.T) {
	s := newStore(t)
	until := store.Trim(time.Now().Add(time.Hour))
	fill(t, s, []store.Tenant{
		due("held", ""), with(active("held-1", "held"), func(t *store.Tenant) { t.Hold = &store.Hold{Reason: "litigation", Until: until} }),
		due("paying", ""), with(active("paying-1", "paying"), func(t *store.Tenant) { t.ActiveSubscriptions = 2 }),
		due("guarded", ""), active("guarded-1", "guarded"),
		due("free", ""),
	}, nil)
	log, logs := observed(zapcore.InfoLevel)
	e := newEngine(t, s, log, setting(func(s *purge.Settings) { s.Protected = []string{"guarded-1"} }))
	want := map[string]string{
		"held": "blocked: hold by held-1", "paying": "blocked: active_subscriptions by paying-1",
		"guarded": "blocked: protected by guarded-1", "free": "deleted",
	}
	r := mustRun(t, e)
	wantResult(t, r, purge.ResultOK)
	wantOutcomes(t, r, want)
	for _, row := range r.Tenants {
		if row.ID == "held" && !row.Block.Until.Equal(until) {
			t.Errorf("held waits until %s, want %s", row.Block.Until, until)
		}
		if row.EstimatedPurgeDate.IsZero() {
			t.Errorf("row of %s without a date", row.ID)
		}
	}
	delete(want, "free")
	wantOutcomes(t, mustRun(t, e), want)
	if n := logs.FilterMessage("tenant waits").Len(); n != 3 {
		t.Errorf("%d lines about three tenants that wait for the same in two passes", n)
	}
}

func TestRun_ClimbsToTheTopmostDueAncestorThatCanBeClaimed(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{
		// The children are older: they are looked at before their parents.
		disabled("a", "", -time.Hour), disabled("a-1", "a", -2*time.Hour), disabled("a-2", "a", -3*time.Hour),
		// The top is blocked by x-2: x-1 goes alone, with what is below it.
		disabled("x", "", -time.Hour), disabled("x-1", "x", -2*time.Hour), disabled("x-1-1", "x-1", -4*time.Hour),
		disabled("x-2", "x", time.Hour),
	}, nil)
	r := mustRun(t, newEngine(t, s))
	wantOutcomes(t, r, map[string]string{
		"a": "deleted", "x": "blocked: later_date by x-2", "x-1": "deleted",
	})
	if want := (purge.Totals{Counts: each(0, 3), Tenants: 5, Deleted: 2, Blocked: 1}); r.Totals != want {
		t.Errorf("totals %+v, want %+v", r.Totals, want)
	}
	if got := receipt(t, s, "x-1-1"); got.TenantID != "x-1" {
		t.Errorf("x-1-1 went with %q", got.TenantID)
	}
}

func TestRun_OrdersRowsByDateThenID(t *testing.T) {
	s := newStore(t)
	b, z := disabled("b", "", -2*time.Hour), disabled("z", "", -3*time.Hour)
	a := b
	a.ID = "a"
	fill(t, s, []store.Tenant{b, a, z, disabled("c", "", -time.Hour)}, nil)
	r := mustRun(t, newEngine(t, s))
	var ids []string
	for _, row := range r.Tenants {
		ids = append(ids, row.ID)
	}
	if diff := cmp.Diff([]string{"z", "a", "b", "c"}, ids); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestRun_RefusesToOverlap(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	f := newFake("crm", nil)
	once := false
	f.before = func(context.Context, call) error {
		if !once {
			once = true
			close(entered)
			<-leave
		}
		return nil
	}
	e := newEngine(t, s, targets(f))
	done := make(chan purge.Report)
	go func() {
		r, err := e.Run(context.Background(), purge.TriggerRun)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	<-entered
	if _, err := e.Run(context.Background(), purge.TriggerSignal); store.CodeOf(err) != store.Conflict {
		t.Errorf("a second pass: %v, want a conflict", err)
	}
	close(leave)
	wantOutcomes(t, <-done, map[string]string{"acme": "deleted"})
	mustRun(t, e)
}

func TestRun_StoreThatFailsIsAnError(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := newEngine(t, s).Run(context.Background(), purge.TriggerRun)
	if store.CodeOf(err) != store.Unavailable {
		t.Errorf("error %v, want unavailable", err)
	}
	wantResult(t, r, purge.ResultError)
	if r.Error == "" || r.Tenants == nil {
		t.Errorf("report %+v", r)
	}
}

// A schedule of every few minutes must not cost a write each time.
func TestRun_IdlePassesAreKeptOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		e := newEngine(t, s)
		kept := func() int {
			runs, err := s.Runs(context.Background(), 100)
			if err != nil {
				t.Fatal(err)
			}
			return len(runs)
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {5 * time.Minute, 1}, {55*time.Minute - time.Millisecond, 1}, {time.Millisecond, 2}, {0, 2}} {
			time.Sleep(step.wait) // the bubble's clock
			mustRun(t, e)
			if got := kept(); got != step.want {
				t.Fatalf("%d passes are kept after %v more, want %d", got, step.wait, step.want)
			}
		}
		fill(t, s, forest(1, 1), nil)
		mustRun(t, e)
		if got := kept(); got != 3 {
			t.Errorf("a pass that purged something was not kept")
		}
	})
}

// After a restart, when all that was due was done last is known from the passes
// that were kept. Retries must not keep those of the schedule out.
func TestRun_IdlePassesAreKeptWhateverIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		crm := failing("crm", store.Errorf(store.Unavailable, "down"), "bad")
		fill(t, s, []store.Tenant{due("bad", "")}, nil)
		e := newEngine(t, s, targets(crm))
		mustRun(t, e)
		kept := map[string]int{}
		for range 6 {
			time.Sleep(30 * time.Minute)
			for range 2 { // the second has nothing to do
				if _, err := e.Run(context.Background(), purge.TriggerRetry); err != nil {
					t.Fatal(err)
				}
			}
			mustRun(t, e)
		}
		runs, err := s.Runs(context.Background(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			kept[r.Trigger+" "+r.Result]++
		}
		if kept["retry partial"] < 3 || kept["retry ok"] != 0 || kept["run ok"] != 3 {
			t.Errorf("kept passes in three hours: %v; want each retry that tried something, and three that were idle", kept)
		}
	})
}

// unreadable is a store that cannot read one tenant.
type unreadable struct {
	store.Store
	id string
}

func (u unreadable) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if id == u.id {
		return store.Claim{}, store.Errorf(store.Internal, "tenant record %q: truncated or corrupt", id)
	}
	return u.Store.Claim(ctx, id, req)
}

func TestRun_G11_DamagedRecordStopsNoOther(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(3, 1), nil)
	r := mustRun(t, newEngine(t, unreadable{s, "t000"}))
	wantResult(t, r, purge.ResultPartial)
	wantOutcomes(t, r, map[string]string{
		"t000": string(purge.OutcomeFailed), "t001": string(purge.OutcomeDeleted), "t002": string(purge.OutcomeDeleted),
	})
}
