package metrics

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantpurge/purger/store"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fresh returns metrics in a pedantic registry, which refuses inconsistent ones.
func fresh(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	return New(reg, Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1.26.8"}), reg
}

// expose compares all that the registry has, or only the named metrics, with a
// file in testdata.
func expose(t *testing.T, reg prometheus.Gatherer, file string, names ...string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(reg, bytes.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// busy makes every event happen.
func busy(m *Metrics) {
	m.RunStarted("schedule")
	m.RunRemaining(7)
	m.TenantsPurged(3, 40*time.Millisecond, 90*time.Second)
	m.TenantsPurged(1, 2*time.Second, -1) // immediate
	m.ResourcesPurged(StoreTarget, store.Counts{Users: 5, Credentials: 4, APIKeys: 3, OAuthClients: 2, SubTenants: 2})
	m.PurgeFailed(StoreTarget, store.KindUser, string(store.Internal))
	m.Leftovers(StoreTarget, store.Counts{Users: 1})
	m.ResourcesUnaccounted("crm", store.Counts{Users: 7, APIKeys: -3})
	m.RunFinished("schedule", "ok", start, start.Add(20*time.Second))
	m.RunStarted("signal")
	m.RunFinished("signal", "halted", start, start.Add(30*time.Second))
	m.RunStarted("startup")
	m.RunRemaining(2)
	m.NextRun(start.Add(5 * time.Minute))
	m.TargetUp("crm", true)
	m.TargetUp("ldap", false)
	m.TargetRequest("crm", "count", 3*time.Millisecond)
	m.TargetRequest("crm", "purge", 200*time.Millisecond)
	m.TargetRetried("ldap")
	m.TargetPostponed("ldap", "window")
	m.TargetPostponed("ldap", "moon")
	m.PurgeFailed("ldap", "", string(store.Unavailable))
	m.SourceEvery(5 * time.Minute)
	m.SourceSynced(store.Sync{Result: store.SyncFailed, Counts: store.SyncCounts{Rows: 99, New: 99}}, time.Second)
	m.SourceSynced(store.Sync{Result: store.SyncGood, Counts: store.SyncCounts{New: 1}}, 20*time.Second)
	m.SourceState(store.SourceState{
		Vanished: 3, LastRefused: &store.Sync{Counts: store.SyncCounts{Vanished: 12, Rejected: 4, Unplaced: 1, TooLate: 2, Unchanged: 80, Overruled: 3}},
		LastGood:   &store.Sync{FinishedAt: store.Timestamp{Time: start}, Counts: store.SyncCounts{New: 1}},
		LastFailed: &store.Sync{},
	})
	m.SourceChecked("confirmed")
	m.SourceChecked("moved")
	m.Deactivated()
	m.Deactivated()
	m.Reactivated()
	m.LimitHit("limits.perDay")
	m.HTTPRequest("GET /api/v1/tenants/{id}", 200)
	m.HTTPRequest("GET /api/v1/tenants/{id}", 404)
	m.ConfigReloaded(true, start)
	m.ConfigReloaded(false, start.Add(time.Hour))
}

func TestNew_EveryCounterOfAClosedSetBeginsAtZero(t *testing.T) {
	_, reg := fresh(t)
	expose(t, reg, "fresh.prom")
}

func TestMetrics_ExposeWhatHappened(t *testing.T) {
	m, reg := fresh(t)
	busy(m)
	expose(t, reg, "busy.prom")
}

func TestMetrics_AreCleanForPromlint(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{})
	busy(m)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetrics_AllNamesHaveThePrefixAndHelpInASentence(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{})
	busy(m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "purger_") {
			t.Errorf("%s: want the prefix purger_", f.GetName())
		}
		if h := f.GetHelp(); !strings.HasSuffix(h, ".") || h[:1] != strings.ToUpper(h[:1]) {
			t.Errorf("%s: help %q is no sentence", f.GetName(), h)
		}
	}
}

func TestMetrics_HistogramsAreClassicAndNative(t *testing.T) {
	m, reg := fresh(t)
	busy(m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range families {
		for _, v := range f.GetMetric() {
			h := v.GetHistogram()
			if h.GetSampleCount() == 0 {
				continue
			}
			found++
			if len(h.GetBucket()) == 0 {
				t.Errorf("%s has no classic buckets", f.GetName())
			}
			if len(h.GetPositiveSpan()) == 0 || h.GetSchema() == 0 {
				t.Errorf("%s has no native buckets", f.GetName())
			}
		}
	}
	// Of run duration three, else one, and two of requests.
	if found != 7 {
		t.Errorf("%d histograms with observations, want 7", found)
	}
}

// calls calls every exported method of m but WatchStore, each string argument
// being text and each number n.
func calls(m *Metrics, text string, n int64) {
	v := reflect.ValueOf(m)
	for i := range v.NumMethod() {
		if v.Type().Method(i).Name == "WatchStore" {
			continue
		}
		method := v.Method(i)
		var args []reflect.Value
		for j := range method.Type().NumIn() {
			arg := reflect.New(method.Type().In(j)).Elem()
			switch arg.Kind() {
			case reflect.String:
				arg.SetString(text)
			case reflect.Int, reflect.Int64:
				arg.SetInt(n)
			case reflect.Bool:
				arg.SetBool(true)
			case reflect.Struct:
				if arg.Type() == reflect.TypeFor[store.Counts]() {
					arg.Set(reflect.ValueOf(store.Counts{Users: n, Credentials: n, APIKeys: n, OAuthClients: n, SubTenants: n}))
				}
			}
			args = append(args, arg)
		}
		method.Call(args)
	}
}

func TestMetrics_NilDoesNothing(t *testing.T) {
	var m *Metrics
	calls(m, "x", 1)
	m.WatchStore(&view{})
}

func TestMetrics_SurviveNonsense(t *testing.T) {
	m, reg := fresh(t)
	for _, text := range []string{"", "\xff\xfe", "a\nb\"c", strings.Repeat("x", 1<<16)} {
		for _, n := range []int64{0, -1, 1 << 62, -1 << 63} {
			calls(m, text, n)
		}
	}
	if _, err := reg.Gather(); err != nil {
		t.Errorf("the scrape fails: %v", err)
	}
	New(prometheus.NewPedanticRegistry(), Build{Version: "\xff", Revision: "\xff", GoVersion: "\xff"})
}

// series counts the series of every metric.
func series(t *testing.T, reg prometheus.Gatherer) map[string]int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, f := range families {
		n[f.GetName()] = len(f.GetMetric())
	}
	return n
}

func TestMetrics_LabelsStayBoundedWhateverCallersPass(t *testing.T) {
	m, reg := fresh(t)
	for i := range 3000 {
		calls(m, fmt.Sprintf("tenant-%d", i), int64(i))
	}
	n := series(t, reg)
	for name, most := range map[string]int{
		"purger_runs_total":                                   8*7 + 1, // the one more is "other"
		"purger_run_duration_seconds":                         7 + 1,
		"purger_last_run_timestamp_seconds":                   8 + 1,
		"purger_limit_hits_total":                             3 + 1,
		"purger_resources_purged_total":                       65 * 4,
		"purger_verification_leftovers_total":                 65 * 4,
		"purger_resources_unaccounted_total":                  65 * 4,
		"purger_purge_failures_total":                         65 * (5*10 + 1), // other, other
		"purger_target_up":                                    64,
		"purger_target_retries_total":                         65,
		"purger_target_postponed_total":                       65 * 4,
		"purger_target_request_duration_seconds":              64,
		"purger_http_requests_total":                          129 * 501,
		"purger_build_info":                                   1,
		"purger_config_last_reload_successful":                1,
		"purger_source_syncs_total":                           3 + 1,
		"purger_source_checks_total":                          8 + 1,
		"purger_source_rows":                                  14,
		"purger_source_sync_duration_seconds":                 1,
		"purger_source_last_sync_timestamp_seconds":           1,
		"purger_source_sync_refused":                          1,
		"purger_source_sync_failed":                           1,
		"purger_source_sync_interval_seconds":                 1,
		"purger_source_vanished_tenants":                      1,
		"purger_source_dead_letters":                          1,
		"purger_tenants_purged_total":                         1,
		"purger_tenant_purge_duration_seconds":                1,
		"purger_next_run_timestamp_seconds":                   1,
		"purger_last_success_timestamp_seconds":               1,
		"purger_deactivations_total":                          1,
		"purger_run_remaining_tenants":                        1,
		"purger_purge_lateness_seconds":                       1,
		"purger_run_in_progress":                              1,
		"purger_reactivations_total":                          1,
		"purger_config_last_reload_success_timestamp_seconds": 1,
	} {
		if n[name] == 0 || n[name] > most {
			t.Errorf("%s has %d series, want 1 to %d", name, n[name], most)
		}
		delete(n, name)
	}
	for name := range n {
		t.Errorf("%s is not in this test: say how many series it may have", name)
	}
}

func TestTargetUp_BeginsTheCountersOfTheTarget(t *testing.T) {
	m, reg := fresh(t)
	before := series(t, reg)
	m.TargetUp("crm", true)
	after := series(t, reg)
	for name, more := range map[string]int{
		"purger_resources_purged_total": 4, "purger_verification_leftovers_total": 4, "purger_resources_unaccounted_total": 4,
		"purger_purge_failures_total": 50, "purger_target_retries_total": 1, "purger_target_up": 1,
		"purger_target_postponed_total": 3,
	} {
		if got := after[name] - before[name]; got != more {
			t.Errorf("%s: %d series more, want %d", name, got, more)
		}
	}
}

func TestRunFinished_EndsTheProgress(t *testing.T) {
	m, reg := fresh(t)
	m.RunStarted("schedule")
	m.RunRemaining(7)
	has(t, exposition(t, reg), "purger_run_in_progress 1", "purger_run_remaining_tenants 7")
	m.RunFinished("schedule", "interrupted", start, start)
	has(t, exposition(t, reg), "purger_run_in_progress 0", "purger_run_remaining_tenants 0")
}

func TestRunFinished_AClockThatWentBackwardsCountsAsNoTime(t *testing.T) {
	m, reg := fresh(t)
	m.RunFinished("schedule", "ok", start, start.Add(-time.Hour))
	has(t, exposition(t, reg), `purger_run_duration_seconds_sum{trigger="schedule"} 0`, `purger_run_duration_seconds_count{trigger="schedule"} 1`)
}

func TestHTTPRequest_OnlyCodesOfHTTPAreLabels(t *testing.T) {
	m, reg := fresh(t)
	for _, code := range []int{99, 100, 599, 600, 0, -1} {
		m.HTTPRequest("GET /metrics", code)
	}
	has(t, exposition(t, reg), `purger_http_requests_total{code="100",route="GET /metrics"} 1`,
		`purger_http_requests_total{code="599",route="GET /metrics"} 1`, `purger_http_requests_total{code="other",route="GET /metrics"} 4`)
}

func TestNew_PanicsOnTheSecondUseOfARegistry(t *testing.T) {
	_, reg := fresh(t)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(reg, Build{})
}

func TestNewRegistry_HasRuntimeAndProcess(t *testing.T) {
	reg := NewRegistry()
	New(reg, Build{})
	n := series(t, reg)
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "purger_build_info"} {
		if n[name] != 1 {
			t.Errorf("%s has %d series, want 1", name, n[name])
		}
	}
}

func TestMetrics_AreSafeForConcurrentUse(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				calls(m, fmt.Sprintf("name-%d", i*j), 1)
				if j%10 == 0 {
					if _, err := reg.Gather(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}
