package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestTargets_AreListedInTheOrderOfTheConfiguration(t *testing.T) {
	const window = "22:00-05:00 UTC"
	change := withTargets(t, map[string]string{"mail": window}, &ableTarget{fakeTarget: fakeTarget{name: "zeta"}}, &fakeTarget{name: "mail"})
	both(t, func(t *testing.T, r *rig) {
		got, err := r.Targets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kinds := []store.Kind{store.KindUser}
		want := []client.Target{
			{Name: "zeta", Kinds: kinds, CanInit: true, CanDiagnose: true, CountsSubscriptions: true, Progress: []client.TargetProgress{}},
			{Name: "mail", Kinds: kinds, Window: window, Progress: []client.TargetProgress{}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}, change)
	both(t, func(t *testing.T, r *rig) {
		if got, err := r.Targets(t.Context()); err != nil || got == nil || len(got) != 0 {
			t.Errorf("without targets: %v, %v", got, err)
		}
	})
}

func TestTargets_TestInitAndDiagnoseSayWhatTheTargetSays(t *testing.T) {
	f := &ableTarget{fakeTarget: fakeTarget{name: "crm"}}
	r := newRig(t, withTargets(t, nil, f, &fakeTarget{name: "mail"})).inProcess(t)
	if got, err := r.TestTarget(t.Context(), "crm"); err != nil || got != (client.TargetCheck{OK: true}) {
		t.Errorf("test: %+v, %v", got, err)
	}
	if err := r.InitTarget(t.Context(), "crm"); err != nil || f.inits != 1 {
		t.Errorf("init: %v, made %d times", err, f.inits)
	}
	if got, err := r.Diagnose(t.Context(), "crm"); err != nil || got.Data == nil || len(got.Data) != 0 || got.Error != "" {
		t.Errorf("diagnose: %+v, %v", got, err)
	}
	// It refuses for want of a right, which is no error of the call.
	f.down = store.Errorf(store.Precondition, "users: permission denied")
	f.found = []purge.Finding{{Severity: purge.SeverityWarning, Subject: "users", Text: "there is no index on tenant_id", Fix: "CREATE INDEX"}}
	if got, err := r.TestTarget(t.Context(), "crm"); err != nil || got != (client.TargetCheck{Error: f.down.Error()}) {
		t.Errorf("test: %+v, %v", got, err)
	}
	got, err := r.Diagnose(t.Context(), "crm")
	if d := cmp.Diff(client.Findings{Data: f.found, Error: f.down.Error()}, got); d != "" || err != nil {
		t.Errorf("diagnose: %v\n%s", err, d)
	}
	wantCode(t, r.InitTarget(t.Context(), "crm"), store.Precondition)

	for name, code := range map[string]store.Code{"mail": store.Precondition, "none": store.NotFound, "../tenants": store.NotFound} {
		_, tested := r.TestTarget(t.Context(), name)
		_, diagnosed := r.Diagnose(t.Context(), name)
		for _, err := range []error{tested, diagnosed, r.InitTarget(t.Context(), name)} {
			wantCode(t, err, code)
		}
	}
}

// A call whose caller has left is not answered as if the target were down.
func TestTargets_ACallerThatLeavesIsNoAnswerOfTheTarget(t *testing.T) {
	f := &ableTarget{fakeTarget: fakeTarget{name: "crm"}}
	r := newRig(t, withTargets(t, nil, f))
	ctx, cancel := context.WithCancel(t.Context())
	f.down = errors.New("stopped")
	cancel()
	for what, method := range map[string]string{"/actions/test": http.MethodPost, "/findings": http.MethodGet} {
		req, err := http.NewRequestWithContext(ctx, method, "http://purger"+client.Prefix+client.PathTargets+"/crm"+what, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if r.handler.ServeHTTP(w, req); w.Code == http.StatusOK {
			t.Errorf("%s: %s", what, w.Body)
		}
	}
}

// closedNow is a window that opens in twelve hours.
func closedNow() string {
	at := time.Now().UTC().Add(12 * time.Hour)
	return at.Format("15:04") + "-" + at.Add(time.Minute).Format("15:04") + " UTC"
}

func TestStatus_TellsHowFarEachTenantIsInEachTarget(t *testing.T) {
	reached, leave := make(chan struct{}), make(chan struct{})
	steps := 0
	crm := &fakeTarget{name: "crm", users: map[string]int64{"acme": 3}, step: func(context.Context) {
		if steps++; steps == 2 {
			close(reached)
			<-leave
		}
	}}
	mail := &fakeTarget{name: "mail", users: map[string]int64{"acme": 5}}
	r := newRig(t, withTargets(t, map[string]string{"mail": closedNow()}, crm, mail)).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, days(11), "acme")
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := r.Run(context.WithoutCancel(t.Context()), purge.TriggerRun)
		done <- err
	}()
	<-reached
	row := progressIn(t, r, "crm")
	if row.TenantID != "acme" || row.Done != 1 || row.Remaining == nil || *row.Remaining != 2 || row.Rate <= 0 || row.ETA.IsZero() ||
		row.BeganAt.Before(began.Add(-time.Second)) || row.ProgressedAt.Before(row.BeganAt.Time) || row.Reason != "" {
		t.Errorf("under way: %+v", row)
	}
	list, err := r.Targets(t.Context())
	if err != nil || len(list) != 2 || len(list[0].Progress) != 1 || list[0].Progress[0].Done != 1 {
		t.Errorf("targets: %+v, %v", list, err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	row = progressIn(t, r, "mail")
	if row.TenantID != "acme" || row.Done != 0 || row.Reason != purge.PostponeWindow || row.Until.Before(time.Now().Add(11*time.Hour)) {
		t.Errorf("put off: %+v", row)
	}
	got, err := r.Tenant(t.Context(), "acme", false)
	if err != nil || got.Status != store.StatusPurging {
		t.Errorf("G6: a target still has users, and the tenant is %q, %v", got.Status, err)
	}
}

// progressIn returns the one row of the status about a target.
func progressIn(t *testing.T, r *rig, target string) client.TargetProgress {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Progress {
		if p.Target == target {
			return p
		}
	}
	t.Fatalf("nothing about %s: %+v", target, st.Progress)
	return client.TargetProgress{}
}

func TestPlan_CountsWhatTargetsHold(t *testing.T) {
	crm := &fakeTarget{name: "crm", users: map[string]int64{"acme": 3, "acme-eu": 4, "other": 9}}
	r := newRig(t, withTargets(t, nil, crm)).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "acme-eu", ParentID: "acme"}, client.NewTenant{ID: "other"})
	r.fill(t, "acme") // 4 users in the store
	r.disable(t, days(11), "acme")
	planned, err := r.Plan(t.Context())
	if err != nil || planned.Totals.Users != 4+3+4 {
		t.Errorf("planned %+v, %v; want 11 users", planned.Totals, err)
	}
	done, err := r.Run(t.Context(), purge.TriggerRun)
	if err != nil || done.Totals.Counts != planned.Totals.Counts {
		t.Errorf("purged %+v, %v; planned %+v", done.Totals, err, planned.Totals)
	}
}

// A target supplies the number: above 0 a deletion is a conflict, and without an answer
// it is to be tried again.
func TestDelete_SubscriptionsThatATargetCountsRefuseIt(t *testing.T) {
	f := &ableTarget{fakeTarget: fakeTarget{name: "billing", users: map[string]int64{}}}
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "acme-eu", ParentID: "acme"})
		r.disable(t, 0, "acme")
		f.paying = 2
		res := raw(t, r, "DELETE /api/v1/admin/tenants/acme?version=2", "")
		problem := res.json(t)["errors"].([]any)[0].(map[string]any)
		want := map[string]any{"tenantId": "acme", "block": map[string]any{"reason": "active_subscriptions", "by": "acme"}}
		if d := cmp.Diff(want, problem["meta"]); d != "" || res.status != http.StatusConflict || problem["code"] != "precondition" {
			t.Errorf("status %d, %v; want 409 and its block", res.status, problem)
		}
		f.paying, f.down = 0, purge.Permanent(store.Errorf(store.Forbidden, "403 of the billing"))
		if res := raw(t, r, "DELETE /api/v1/admin/tenants/acme?version=2", ""); res.status != http.StatusServiceUnavailable {
			t.Errorf("status %d without an answer; want 503", res.status)
		}
		f.down = nil
		if v, err := r.Tenant(t.Context(), "acme", false); err != nil || v.Status != store.StatusDisabled || v.Version != 2 {
			t.Errorf("%+v, %v; want it as it was", v, err)
		}
		if res := raw(t, r, "DELETE /api/v1/admin/tenants/acme?version=2", ""); res.status != http.StatusOK {
			t.Errorf("status %d once nobody pays; want 200", res.status)
		}
	}, withTargets(t, nil, f))
}
