package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

func TestStatus_TellsEverything(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "off"}, client.NewTenant{ID: "due"})
		r.disable(t, days(1), "off")
		r.disable(t, days(20), "due")
		st, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Version != "1.2.3" || st.Daemon || st.PID != 0 || st.DataDir != r.dir || st.Running != nil || st.LastRun != nil ||
			st.Schedule != "" || !st.NextRun.IsZero() || st.Closed == nil || len(st.Closed) != 0 {
			t.Errorf("status %+v", st)
		}
		want := map[store.Status]int64{"active": 1, "disabled": 2, "purging": 0, "failed": 0, "deleted": 0}
		if d := cmp.Diff(want, st.Stats.Tenants); d != "" {
			t.Errorf("tenants (-want +got):\n%s", d)
		}
		if st.Stats.Due != 1 || st.Stats.OldestDue.IsZero() || st.Stats.NextPurge.IsZero() || st.Stats.Size.Size == 0 || st.Stats.AuditHead.Seq != 5 {
			t.Errorf("stats %+v", st.Stats)
		}
		stats, err := r.StoreStats(t.Context())
		if err != nil || stats.Due != 1 || len(stats.Blocked) != len(store.BlockReasons()) {
			t.Errorf("store stats %+v, %v", stats, err)
		}
		if _, err := r.Pause(t.Context(), client.PauseRequest{Reason: "maintenance"}); err != nil {
			t.Fatal(err)
		}
		report, err := r.Run(t.Context(), purge.TriggerAPI)
		if err != nil || report.Result != purge.ResultPaused {
			t.Errorf("report %+v, %v", report, err)
		}
		if st, err = r.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]store.Gate{{Reason: store.GatePaused, Detail: "maintenance"}}, st.Closed); d != "" {
			t.Errorf("closed (-want +got):\n%s", d)
		}
		if st.LastRun == nil || st.LastRun.ID != report.ID || st.LastRun.Result != "paused" {
			t.Errorf("last run %+v", st.LastRun)
		}
	})
}

func TestStatus_NullMembersAreThere(t *testing.T) {
	r := newRig(t).inProcess(t)
	body := raw(t, r, "GET /api/v1/status", "").body
	for _, member := range []string{`"running":null`, `"lastRun":null`, `"nextRun":""`, `"schedule":""`, `"closed":[]`, `"gates":{}`} {
		if !strings.Contains(body, member) {
			t.Errorf("%s is not in %s", member, body)
		}
	}
}

func TestStatus_HasTheSchedule(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.begin(t)
		st, err := r.Status(t.Context())
		if err != nil || !strings.Contains(st.Schedule, "0 3 * * *") || st.NextRun.UTC().Hour() != 3 || !st.NextRun.After(time.Now()) {
			t.Errorf("schedule %q, next run %s, %v", st.Schedule, st.NextRun, err)
		}
	}, withScheduler(t, nil))
}

func TestGates_PauseAndResume(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		until := store.Timestamp{Time: store.Trim(time.Now().Add(time.Hour))}
		g, err := r.Pause(t.Context(), client.PauseRequest{Reason: "maintenance", Until: until})
		if err != nil || g.Pause == nil || g.Pause.Reason != "maintenance" || !g.Pause.Until.Equal(until.Time) || g.Pause.Actor.ID != ProcessActor().ID {
			t.Fatalf("gates %+v, %v", g, err)
		}
		if g, err = r.Resume(t.Context(), client.ResumeRequest{Allow: 7, Reason: "checked"}); err != nil || g.Pause != nil || g.Allowance != 7 {
			t.Errorf("gates %+v, %v", g, err)
		}
		if g, err = r.Resume(t.Context(), client.ResumeRequest{}); err != nil || g.Allowance != 0 {
			t.Errorf("gates %+v, %v", g, err)
		}
		for what, c := range map[string]struct{ body, pointer string }{
			"POST /api/v1/pause ":  {`{"until":"2999-01-01T00:00:00.000Z"}`, "/until"},
			"POST /api/v1/pause":   {`{}`, "/reason"},
			"POST /api/v1/pause  ": {`{"reason":"r","until":"2001-01-01T00:00:00.000Z"}`, "/until"},
			"POST /api/v1/resume":  {`{"allow":-1}`, "/allow"},
			"POST /api/v1/resume ": {`{"reason":"\u0007"}`, "/reason"},
		} {
			res := raw(t, r, strings.TrimRight(what, " "), c.body)
			if p := res.problem(t); res.status != 400 || p.Source == nil || p.Source.Pointer != c.pointer {
				t.Errorf("%s %s: status %d: %s", what, c.body, res.status, res.body)
			}
		}
	})
}

func TestGates_G9_AHaltIsLiftedWithAReasonOnly(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "a"}, client.NewTenant{ID: "b"})
		r.disable(t, 0, "a", "b")
		if _, err := r.Delete(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
		_, err := r.Delete(t.Context(), "b", 0)
		wantCode(t, err, store.Exhausted)
		st, err := r.Status(t.Context())
		if err != nil || len(st.Closed) != 1 || st.Closed[0].Reason != store.GateHalted {
			t.Fatalf("closed %+v, %v", st.Closed, err)
		}
		_, err = r.Resume(t.Context(), client.ResumeRequest{Allow: 1})
		wantCode(t, err, store.Invalid)
		if _, err = r.Resume(t.Context(), client.ResumeRequest{Allow: 1, Reason: "two were agreed upon"}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Delete(t.Context(), "b", 0); err != nil {
			t.Errorf("after the halt was lifted: %v", err)
		}
	}, withSettings(t, func(s *purge.Settings) { s.Limits = store.Limits{PerDay: 1} }))
}

func TestAudit_G8_TheChainCanBeVerifiedAtTheClient(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for i := range 130 {
			r.create(t, client.NewTenant{ID: "t" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Name: "<&>\u2029"[:3]})
		}
		r.disable(t, days(20), "ta")
		if _, err := r.Run(t.Context(), purge.TriggerAPI); err != nil {
			t.Fatal(err)
		}
		var chain store.Chain
		for e, err := range r.AllAudit(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if err := chain.Verify(e); err != nil {
				t.Fatal(err)
			}
		}
		stats, err := r.StoreStats(t.Context())
		if err != nil || chain.Head() != stats.AuditHead {
			t.Errorf("the head is %+v, want %+v; %v", chain.Head(), stats.AuditHead, err)
		}
		page, err := r.Audit(t.Context(), 0, 0)
		if err != nil || len(page.Data) != client.DefaultPage || page.Next != client.DefaultPage+1 {
			t.Errorf("the first page has %d entries, next %d, %v", len(page.Data), page.Next, err)
		}
		page, err = r.Audit(t.Context(), stats.AuditHead.Seq+1, 10)
		if err != nil || page.Data == nil || len(page.Data) != 0 || page.Next != 0 {
			t.Errorf("past the end: %+v, %v", page, err)
		}
	})
}

func TestCheck_FindsNothingInASoundStore(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		got, err := r.Check(t.Context())
		if err != nil || !got.OK || got.Defects != nil {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestCompact_TellsTheSizes(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		got, err := r.Compact(t.Context())
		if err != nil || got.Before == 0 || got.After == 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := r.Tenant(t.Context(), "acme", false); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestCompact_AStoreThatNeedsNone(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = struct{ store.Store }{o.Store} }).inProcess(t)
	_, err := r.Compact(t.Context())
	wantCode(t, err, store.Precondition)
	_, err = r.Export(t.Context(), &strings.Builder{})
	wantCode(t, err, store.Precondition)
	_, err = r.Import(t.Context(), strings.NewReader(""), client.ImportOptions{}, nil)
	wantCode(t, err, store.Precondition)
}

func TestStore_AClosedStoreIsUnavailable(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		closed, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		o := r.options
		o.Store = closed
		other := (&rig{handler: New(o)}).inProcess(t)
		_, err = other.Status(t.Context())
		wantCode(t, err, store.Unavailable)
		_, err = other.Check(t.Context()) // and not a list of defects
		wantCode(t, err, store.Unavailable)
		_, err = other.Create(t.Context(), client.NewTenant{ID: "acme"})
		wantCode(t, err, store.Unavailable)
	})
}
