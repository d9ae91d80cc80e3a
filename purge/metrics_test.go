package purge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// measured returns an option that counts, and a function that reads a counter,
// a gauge or the number of observations of a histogram; labels as in
// `name{a=b,c=d}`, in the order of their names.
func measured(t *testing.T) (func(*purge.Options), func(series string) float64) {
	reg := metrics.NewRegistry()
	m := metrics.New(reg, metrics.Build{})
	return func(o *purge.Options) { o.Metrics = m }, func(series string) float64 {
		t.Helper()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, v := range f.GetMetric() {
				var labels []string
				for _, l := range v.GetLabel() {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
				name := f.GetName()
				if len(labels) > 0 {
					name += "{" + strings.Join(labels, ",") + "}"
				}
				if name == series {
					return v.GetCounter().GetValue() + v.GetGauge().GetValue() + float64(v.GetHistogram().GetSampleCount())
				}
			}
		}
		t.Errorf("there is no series %s", series)
		return -1
	}
}

func want(t *testing.T, read func(string) float64, series string, value float64) {
	t.Helper()
	if got := read(series); got != value {
		t.Errorf("%s = %v, want %v", series, got, value)
	}
}

func TestRun_MeasuresTenantsResourcesAndTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, crm, idp := family(t, s, 3)
		faults := 2
		idp.after = func(_ context.Context, c call) error {
			if faults > 0 && c.Kind == store.KindUser {
				faults--
				if faults == 0 {
					idp.mu.Lock()
					defer idp.mu.Unlock()
					idp.held["acme"] = store.Counts{Credentials: 4}
					return nil
				}
				return store.Errorf(store.Unavailable, "down")
			}
			return nil
		}
		meter, read := measured(t)
		e := newEngine(t, s, targets(crm, idp), meter)
		want(t, read, "purger_resources_purged_total{kind=user,target=idp}", 0)
		want(t, read, "purger_target_up{target=idp}", 1)

		mustRun(t, e) // the users in idp fail
		want(t, read, "purger_target_up{target=idp}", 0)
		want(t, read, "purger_purge_failures_total{kind=user,reason=unavailable,target=idp}", 1)
		want(t, read, "purger_target_retries_total{target=idp}", 1)
		want(t, read, "purger_target_retries_total{target=crm}", 0)
		want(t, read, "purger_tenants_purged_total", 0)
		want(t, read, "purger_runs_total{result=partial,trigger=run}", 1)
		want(t, read, "purger_resources_purged_total{kind=user,target=crm}", 4*3)

		time.Sleep(time.Hour)
		mustRun(t, e) // credentials appear behind their deletion
		want(t, read, "purger_target_up{target=idp}", 1)
		want(t, read, "purger_verification_leftovers_total{kind=credential,target=idp}", 4)
		want(t, read, "purger_purge_failures_total{kind=none,reason=precondition,target=idp}", 1)

		time.Sleep(time.Hour)
		mustRun(t, e)
		want(t, read, "purger_tenants_purged_total", 4)
		want(t, read, "purger_tenant_purge_duration_seconds", 1)
		want(t, read, "purger_purge_lateness_seconds", 1)
		want(t, read, "purger_resources_purged_total{kind=credential,target=idp}", 4*3+4)
		want(t, read, "purger_resources_purged_total{kind=user,target=store}", 4)
		want(t, read, "purger_runs_total{result=ok,trigger=run}", 1)
		want(t, read, "purger_run_in_progress", 0)
		want(t, read, "purger_run_remaining_tenants", 0)
		if n := read("purger_target_request_duration_seconds{operation=count,target=crm}"); n < 2*16 {
			t.Errorf("%v counts of crm were timed", n)
		}
	})
}

func TestRun_MeasuresLimitsAndImmediateDeletions(t *testing.T) {
	s := newStore(t)
	fill(t, s, append(forest(3, 2), active("acme", "")), nil)
	meter, read := measured(t)
	e := newEngine(t, s, meter, setting(func(s *purge.Settings) { s.Limits.PerDay, s.ImmediateDelete = 5, purge.DeleteAny }))
	if _, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator}); err != nil {
		t.Fatal(err)
	}
	want(t, read, "purger_deactivations_total", 1)
	want(t, read, "purger_purge_lateness_seconds", 0) // nobody waited for a date
	want(t, read, "purger_tenants_purged_total", 1)
	wantResult(t, mustRun(t, e), purge.ResultHalted)
	want(t, read, "purger_limit_hits_total{limit=limits.perDay}", 1)
	want(t, read, "purger_tenants_purged_total", 5)
	want(t, read, "purger_purge_lateness_seconds", 2)
	mustRun(t, e)
	want(t, read, "purger_limit_hits_total{limit=limits.perDay}", 1) // halted is not hit again
	want(t, read, "purger_runs_total{result=halted,trigger=run}", 2)
}

func TestDelete_MeasuresThatARefusedDeletionIsUndone(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{active("acme", ""), with(active("acme-1", "acme"), func(t *store.Tenant) { t.ActiveSubscriptions = 1 })}, nil)
	meter, read := measured(t)
	e := newEngine(t, s, meter, policy(purge.DeleteAny))
	var blocked *store.BlockedError
	if _, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator}); !errors.As(err, &blocked) {
		t.Fatal(fmt.Errorf("want a block: %w", err))
	}
	want(t, read, "purger_deactivations_total", 1)
	want(t, read, "purger_reactivations_total", 1)
}
