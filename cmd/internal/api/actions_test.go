package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// ptr returns a pointer to v.
func ptr[T any](v T) *T { return &v }

func TestDeactivate_AnswersWithTheDateAndNothingElse(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		before := time.Now()
		res := raw(t, r, "POST /api/v1/tenants/acme/actions/deactivate", `{"purgeAfterDays": 15}`)
		got := res.json(t)
		date, err := time.Parse(store.TimeFormat, got["estimatedPurgeDate"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if res.status != http.StatusOK || date.Before(store.Trim(before).Add(days(15))) || date.After(time.Now().Add(days(15))) {
			t.Errorf("status %d, date %s", res.status, date)
		}
		delete(got, "estimatedPurgeDate")
		if d := cmp.Diff(map[string]any{"id": "acme", "status": "disabled"}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		tenant, err := r.Tenant(t.Context(), "acme", false)
		if err != nil || tenant.DisabledBy == nil || tenant.DisabledBy.ID != ProcessActor().ID {
			t.Errorf("disabled by %+v, want the caller; %v", tenant.DisabledBy, err)
		}
	})
}

func TestDeactivate_HonoursGraceAndProtectionOfTheEngine(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "protected"})
		for name, c := range map[string]struct {
			id   string
			days *int
			code store.Code
			want int
		}{
			"default":    {"acme", nil, "", 7},
			"least":      {"acme", ptr(5), "", 5},
			"most":       {"acme", ptr(8), "", 8},
			"too few":    {"acme", ptr(4), store.Invalid, 0},
			"too many":   {"acme", ptr(9), store.Invalid, 0},
			"zero":       {"acme", ptr(0), store.Invalid, 0},
			"negative":   {"acme", ptr(-7), store.Invalid, 0},
			"protected":  {"protected", nil, store.Precondition, 0},
			"never seen": {"nobody", nil, store.NotFound, 0},
		} {
			_, err := r.Deactivate(t.Context(), c.id, client.DeactivateRequest{PurgeAfterDays: c.days})
			if store.CodeOf(err) != c.code {
				t.Errorf("%s: error %v, want the code %q", name, err, c.code)
				continue
			}
			if c.code == store.Invalid {
				var e *store.Error
				if !errors.As(err, &e) || e.Field != "purgeAfterDays" || !strings.Contains(err.Error(), "5 to 8") {
					t.Errorf("%s: error %#v does not name the field and its bounds", name, err)
				}
			}
			if tenant, err := r.Tenant(t.Context(), c.id, false); c.code == "" && (err != nil || tenant.PurgeAfterDays != c.want) {
				t.Errorf("%s: %d days, want %d; %v", name, tenant.PurgeAfterDays, c.want, err)
			}
		}
	}, func(o *Options) {
		withSettings(t, func(s *purge.Settings) { s.Grace = store.Grace{Min: 5, Max: 8, Default: 7} })(o)
	})
}

func TestDeactivate_AgainResetsTheCountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).inProcess(t)
		r.create(t, client.NewTenant{ID: "acme"})
		first, err := r.Deactivate(t.Context(), "acme", client.DeactivateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(days(3))
		second, err := r.Deactivate(t.Context(), "acme", client.DeactivateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := second.EstimatedPurgeDate.Sub(first.EstimatedPurgeDate.Time); got != days(3) {
			t.Errorf("the date moved by %s, want 3 days", got)
		}
	})
}

func TestReactivate_CancelsAndSaysSoAgain(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "acme-eu", ParentID: "acme"})
		r.disable(t, 0, "acme", "acme-eu")
		_, err := r.Reactivate(t.Context(), "acme-eu")
		wantCode(t, err, store.Precondition) // below a disabled ancestor
		for range 2 {
			res := raw(t, r, "POST /api/v1/tenants/acme/actions/reactivate", "")
			if res.status != 200 || strings.TrimSpace(res.body) != `{"id":"acme","status":"active"}` {
				t.Errorf("status %d: %s", res.status, res.body)
			}
		}
		if got, err := r.Tenant(t.Context(), "acme-eu", false); err != nil || got.Status != store.StatusDisabled {
			t.Errorf("the sub-tenant is %s, want disabled still; %v", got.Status, err)
		}
		_, err = r.Reactivate(t.Context(), "nobody")
		wantCode(t, err, store.NotFound)
		if _, err = r.Delete(t.Context(), "acme-eu", 0); err != nil {
			t.Fatal(err)
		}
		_, err = r.Reactivate(t.Context(), "acme-eu")
		wantCode(t, err, store.Gone)
		_, err = r.Deactivate(t.Context(), "acme-eu", client.DeactivateRequest{})
		wantCode(t, err, store.Gone)
	})
}

func TestActions_AreCountedOnlyWhenSomethingChanged(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r := newRig(t, func(o *Options) { o.Metrics = metrics.New(reg, metrics.Build{}) }).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "protected"})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Reactivate(t.Context(), "acme") // active already
	must(err)
	_, err = r.Deactivate(t.Context(), "protected", client.DeactivateRequest{})
	wantCode(t, err, store.Precondition)
	_, err = r.Deactivate(t.Context(), "acme", client.DeactivateRequest{PurgeAfterDays: ptr(20)})
	must(err)
	_, err = r.Deactivate(t.Context(), "acme", client.DeactivateRequest{PurgeAfterDays: ptr(21)})
	must(err)
	for range 3 {
		_, err = r.Reactivate(t.Context(), "acme")
		must(err)
	}
	if got := counted(t, reg, "purger_deactivations_total"); got != 2 {
		t.Errorf("%v deactivations were counted, want 2", got)
	}
	if got := counted(t, reg, "purger_reactivations_total"); got != 1 {
		t.Errorf("%v reactivations were counted, want 1", got)
	}
}

// counted returns the sum of the counters of a name that have the labels.
func counted(t *testing.T, g prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) }) {
				sum, found = sum+m.GetCounter().GetValue(), true
			}
		}
	}
	if !found {
		t.Errorf("there is no metric %s with %q", name, labels)
	}
	return sum
}

func TestHold_StopsAndIsReleased(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		until := store.Timestamp{Time: store.Trim(time.Now().Add(days(100)))}
		got, err := r.Hold(t.Context(), "acme", client.HoldRequest{Reason: "litigation", Until: until})
		if err != nil {
			t.Fatal(err)
		}
		if h := got.Hold; h == nil || h.Reason != "litigation" || !h.Until.Equal(until.Time) || h.Actor.ID != ProcessActor().ID || h.Since.IsZero() {
			t.Errorf("hold %+v", got.Hold)
		}
		r.disable(t, 0, "acme")
		_, err = r.Delete(t.Context(), "acme", 0)
		var blocked *store.BlockedError
		if !errors.As(err, &blocked) || blocked.Block.Reason != store.BlockHold || blocked.Block.By != "acme" || !blocked.Block.Until.Equal(until.Time) {
			t.Errorf("the deletion of a held tenant: %#v", err)
		}
		for range 2 { // the second time nothing is left to release
			if got, err = r.Release(t.Context(), "acme"); err != nil || got.Hold != nil {
				t.Errorf("released: %+v, %v", got.Hold, err)
			}
		}
		if _, err = r.Delete(t.Context(), "acme", 0); err != nil {
			t.Errorf("after the release: %v", err)
		}
	})
}

func TestHold_IsRefused(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		for name, c := range map[string]struct {
			body, pointer string
		}{
			"no body":   {``, "/reason"},
			"no reason": {`{"until":"2999-01-01T00:00:00Z"}`, "/until"}, // out of range is seen first
			"empty":     {`{"reason":""}`, "/reason"},
			"a newline": {`{"reason":"a\nb"}`, "/reason"},
			"too long":  {`{"reason":"` + strings.Repeat("x", 1025) + `"}`, "/reason"},
			"past":      {`{"reason":"r","until":"2020-01-01T00:00:00Z"}`, "/until"},
			"no time":   {`{"reason":"r","until":"tomorrow"}`, "/until"},
			"a number":  {`{"reason":"r","until":1700000000}`, "/until"},
		} {
			res := raw(t, r, "POST /api/v1/tenants/acme/hold", c.body)
			p := res.problem(t)
			if res.status != 400 || p.Source == nil || p.Source.Pointer != c.pointer {
				t.Errorf("%s: status %d, source %+v: %s", name, res.status, p.Source, p.Detail)
			}
		}
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Hold != nil {
			t.Errorf("a refused hold is there: %+v, %v", got.Hold, err)
		}
	})
}

func TestRetry_OnlyAClaimedTenant(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "broken"})
		_, err := r.Retry(t.Context(), "acme")
		wantCode(t, err, store.Precondition)
		_, err = r.Retry(t.Context(), "nobody")
		wantCode(t, err, store.NotFound)

		r.disable(t, days(20), "broken")
		now := time.Now()
		claim, err := r.store.Claim(t.Context(), "broken", store.ClaimRequest{
			Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: now}, Owner: "test", Lease: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Postpone(t.Context(), claim.Token, store.Failure{At: now, Err: errors.New("no")}); err != nil {
			t.Fatal(err)
		}
		got, err := r.Tenant(t.Context(), "broken", false)
		if err != nil || got.Status != store.StatusFailed || got.Purge == nil || got.Purge.LastError != "no" {
			t.Fatalf("failed: %+v, %v", got, err)
		}
		_, err = r.Reactivate(t.Context(), "broken")
		wantCode(t, err, store.Precondition)
		if got, err = r.Retry(t.Context(), "broken"); err != nil || got.Status != store.StatusPurging {
			t.Fatalf("retried: %+v, %v", got, err)
		}
		report, err := r.Run(t.Context(), purge.TriggerAPI)
		if err != nil || len(report.Tenants) != 1 || report.Tenants[0].Outcome != purge.OutcomeDeleted {
			t.Errorf("the pass after: %+v, %v", report, err)
		}
	})
}
