package purge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestRun_ARetryResumesAndClaimsNothingNew: when to claim, the schedule decides.
func TestRun_ARetryResumesAndClaimsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		crm := failing("crm", store.Errorf(store.Unavailable, "down"), "bad")
		fill(t, s, []store.Tenant{
			due("bad", ""), disabled("new", "", time.Minute),
			with(due("waits", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "litigation"} }),
		}, nil)
		reg := prometheus.NewPedanticRegistry()
		log, logs := observed(zapcore.InfoLevel)
		e := newEngine(t, s, targets(crm), log, func(o *purge.Options) { o.Metrics = metrics.New(reg, metrics.Build{}) })
		wantOutcomes(t, mustRun(t, e), map[string]string{"bad": "retrying", "waits": "blocked: hold by waits"})
		retry := func() purge.Report {
			t.Helper()
			r, err := e.Run(context.Background(), purge.TriggerRetry)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		// Before the next attempt there is nothing to do.
		wantOutcomes(t, retry(), map[string]string{})
		time.Sleep(time.Hour)
		crm.before = func(context.Context, call) error {
			// It is what remains to be looked at, and the due one is not.
			return testutil.GatherAndCompare(reg, strings.NewReader(`
				# HELP purger_run_remaining_tenants Tenants that the running pass has not looked at yet.
				# TYPE purger_run_remaining_tenants gauge
				purger_run_remaining_tenants 0
			`), "purger_run_remaining_tenants")
		}
		r := retry()
		wantResult(t, r, purge.ResultOK)
		wantOutcomes(t, r, map[string]string{"bad": "deleted"})
		if v, err := s.Tenant(context.Background(), "new"); err != nil || v.Status != store.StatusDisabled {
			t.Errorf("what came due is %s, %v", v.Status, err)
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"new": "deleted", "waits": "blocked: hold by waits"})
		// That it waits was no news after the retry, which had not looked.
		if n := logs.FilterMessage("tenant waits").Len(); n != 1 {
			t.Errorf("%d log lines say that a tenant waits; want 1", n)
		}
	})
}
