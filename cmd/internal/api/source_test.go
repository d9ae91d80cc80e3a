package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestSource_WithoutOneEveryCallSaysSo(t *testing.T) {
	r := newRig(t).inProcess(t)
	_, status := r.Source(t.Context())
	_, synced := r.SyncSource(t.Context())
	_, accepted := r.AcceptSync(t.Context(), strings.Repeat("0", 64))
	_, diagnosed := r.DiagnoseSource(t.Context())
	for _, err := range []error{status, synced, accepted, diagnosed} {
		wantCode(t, err, store.Precondition)
	}
}

// sickSource is a source that can look for trouble.
type sickSource struct {
	*fakeSource
	found []purge.Finding
	down  error
}

// Diagnose implements purge.Doctor.
func (s *sickSource) Diagnose(context.Context) ([]purge.Finding, error) { return s.found, s.down }

func TestSource_LooksForTrouble(t *testing.T) {
	src := &sickSource{fakeSource: &fakeSource{}, down: errors.New("the connection was lost"),
		found: []purge.Finding{{Severity: purge.SeverityError, Subject: "query", Text: "the role may not run it", Fix: "GRANT SELECT ON tenants TO purger;"}}}
	both(t, func(t *testing.T, r *rig) {
		got, err := r.DiagnoseSource(t.Context())
		if d := cmp.Diff(client.Findings{Data: src.found, Error: src.down.Error()}, got); d != "" || err != nil {
			t.Errorf("diagnose: %v\n%s", err, d)
		}
	}, withSource(t, src))
	both(t, func(t *testing.T, r *rig) {
		if got, err := r.DiagnoseSource(t.Context()); err != nil || len(got.Data) > 0 || got.Error != "" {
			t.Errorf("a source that cannot look: %+v, %v", got, err)
		}
	}, withSource(t, &fakeSource{}))
}

func TestSource_SyncTakesOverAndStatusTellsOfIt(t *testing.T) {
	src := &fakeSource{rows: append(activeRows("acme", "globex"), purge.SourceRow{Tenant: purge.SourceTenant{ID: "odd"}, Err: errors.New("status 7")})}
	both(t, func(t *testing.T, r *rig) {
		s, err := r.SyncSource(t.Context())
		if err != nil || s.Result != store.SyncGood || s.Counts.Rows != 3 || s.Counts.New != 2 || s.Counts.Rejected != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		st, err := r.Source(t.Context())
		if err != nil || st.Name != "directory" || st.LastGood == nil || st.LastGood.Counts != s.Counts || len(st.DeadLetters) != 1 ||
			st.DeadLetters[0].ID != "odd" || !strings.Contains(st.DeadLetters[0].Reason, "status 7") {
			t.Errorf("%+v, %v", st, err)
		}
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Status != store.StatusActive {
			t.Errorf("acme: %+v, %v", got, err)
		}
	}, withSource(t, src))
}

func TestSource_G9_ARefusedSyncIsAnswerAndSomebodyAcceptsExactlyThatOne(t *testing.T) {
	src := &fakeSource{rows: activeRows("a", "b", "c")}
	r := newRig(t, withSource(t, src)).inProcess(t)
	sync := func(want store.SyncResult) store.Sync {
		t.Helper()
		s, err := r.SyncSource(t.Context())
		if err != nil || s.Result != want || (s.Why == "") != (want == store.SyncGood) {
			t.Fatalf("%+v, %v; want it %s", s, err, want)
		}
		return s
	}
	sync(store.SyncGood)
	src.rows = nil
	refused := sync(store.SyncRefused)
	st, err := r.Source(t.Context())
	if err != nil || st.LastRefused == nil || st.LastRefused.Digest != refused.Digest || st.Vanished != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if res := raw(t, r, "POST /api/v1/source/actions/accept", `{}`); res.status != 400 || !strings.Contains(res.body, "/digest") {
		t.Errorf("status %d: %s", res.status, res.body)
	}
	_, err = r.AcceptSync(t.Context(), refused.Digest[:11])
	wantCode(t, err, store.Invalid)
	_, err = r.AcceptSync(t.Context(), strings.Repeat("0", 64))
	wantCode(t, err, store.Conflict)
	st, err = r.AcceptSync(t.Context(), refused.Digest[:12])
	if err != nil || st.Accepted == nil || st.Accepted.Digest != refused.Digest || st.Accepted.By == "" {
		t.Fatalf("%+v, %v", st, err)
	}
	sync(store.SyncGood)
	if st, err = r.Source(t.Context()); err != nil || st.Vanished != 3 || st.Accepted != nil || st.LastRefused != nil {
		t.Errorf("%+v, %v", st, err)
	}
	src.err = store.Errorf(store.Unavailable, "the directory does not answer")
	sync(store.SyncFailed)
	if st, err = r.Source(t.Context()); err != nil || st.LastFailed == nil || st.LastFailed.Why != src.err.Error() {
		t.Errorf("%+v, %v", st, err)
	}
	actions := map[store.Action]string{}
	page, err := r.Audit(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Data {
		actions[e.Action] = e.Actor
	}
	if actions[store.ActionSourceAccept] == "" || actions[store.ActionSourceRefuse] == "" {
		t.Errorf("in the audit trail: %v", actions)
	}
	// One that was begun is shown as such.
	_, err = r.store.ChangeSource(t.Context(), store.SourceChange{Apply: func(s *store.SourceState, o store.Origin) (map[string]string, error) {
		s.Accepted = &store.Acceptance{Digest: refused.Digest, By: o.Actor.ID, At: store.Timestamp{Time: o.At}, Begun: true}
		return nil, nil
	}}, store.Origin{Actor: store.Actor{ID: "jane"}, At: refused.FinishedAt.Time})
	if st, err2 := r.Source(t.Context()); err != nil || err2 != nil || st.Accepted == nil || !st.Accepted.Begun {
		t.Errorf("%+v, %v, %v", st, err, err2)
	}
}

func TestSource_OneSyncAtATime(t *testing.T) {
	reached, leave := make(chan struct{}), make(chan struct{})
	src := &fakeSource{rows: activeRows("a"), wait: func() {
		close(reached)
		<-leave
	}}
	r := newRig(t, withSource(t, src)).inProcess(t)
	done := make(chan error, 1)
	go func() {
		_, err := r.SyncSource(t.Context())
		done <- err
	}()
	<-reached
	_, err := r.SyncSource(t.Context())
	wantCode(t, err, store.Conflict)
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What somebody reactivates stays active until the source says something newer, and
// the API shows that.
func TestSource_G2_AReactivationStandsAndIsShown(t *testing.T) {
	src := &fakeSource{rows: activeRows("acme", "globex")}
	src.rows[0].Tenant.Status, src.rows[0].Tenant.DisabledAt = store.StatusDisabled, time.Now().Add(-time.Hour)
	both(t, func(t *testing.T, r *rig) {
		sync := func(want store.SyncCounts) {
			t.Helper()
			if s, err := r.SyncSource(t.Context()); err != nil || s.Counts != want {
				t.Fatalf("%+v, %v; want %+v", s, err, want)
			}
		}
		sync(store.SyncCounts{Rows: 2, New: 2, Disabled: 1})
		began := store.Trim(time.Now())
		if _, err := r.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1})
			got, err := r.Tenant(t.Context(), "acme", false)
			if err != nil || got.Status != store.StatusActive || got.ReactivatedAt.Before(began) {
				t.Fatalf("%+v, %v", got, err)
			}
			if own := ownView(got); !own.ReactivatedAt.IsZero() { // who overruled whom is the operators' business
				t.Errorf("its own callers are told %+v", own)
			}
		}
		if st, err := r.Source(t.Context()); err != nil || st.LastGood.Counts.Overruled != 1 {
			t.Errorf("%+v, %v", st, err)
		}
		state := client.TenantState{Version: 3}
		if got, err := r.Put(t.Context(), "acme", state); err != nil || !got.ReactivatedAt.IsZero() {
			t.Errorf("deactivated: %+v, %v", got, err)
		}
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1}) // the date that was promised stands, too (G1)
		state.Enabled, state.Version = true, 4
		if got, err := r.Put(t.Context(), "acme", state); err != nil || got.ReactivatedAt.IsZero() {
			t.Errorf("enabled: %+v, %v", got, err)
		}
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1})
	}, withSource(t, src, func(s *purge.SyncSettings) { s.Floor = 2 }))
}

// A tenant waits for what the source says of it, and its block names that.
func TestSource_G1_WhatItDoesNotKnowIsNotPurged(t *testing.T) {
	src := &fakeSource{rows: activeRows("other")}
	r := newRig(t, withSource(t, src), func(o *Options) {
		e, err := purge.New(purge.Options{Store: o.Store, Source: src, Settings: purge.DefaultSettings()})
		if err != nil {
			t.Fatal(err)
		}
		o.Engine = e
	}).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, days(11), "acme")
	report, err := r.Run(t.Context(), purge.TriggerRun)
	if err != nil || len(report.Tenants) != 1 || report.Tenants[0].Block == nil || report.Tenants[0].Block.Reason != store.BlockVanished {
		t.Errorf("%+v, %v; want it blocked as vanished", report, err)
	}
}
