package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// gated is an engine whose deletions wait until they may.
type gated struct {
	Engine
	begun chan struct{} // gets one for each deletion
	open  chan struct{} // closed to let them go on
}

// Delete implements Engine.
func (g *gated) Delete(ctx context.Context, d purge.Deletion) (store.Receipt, error) {
	g.begun <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
		return store.Receipt{}, store.Errorf(store.Unavailable, "stopped: %w", ctx.Err())
	}
	return g.Engine.Delete(ctx, d)
}

// newGated returns a rig whose deletions wait, with a limit of 30 seconds.
func newGated(t *testing.T) (*rig, *gated) {
	t.Helper()
	g := &gated{begun: make(chan struct{}, keptDeletions+1), open: make(chan struct{})}
	r := newRig(t, func(o *Options) {
		g.Engine = o.Engine
		o.Engine, o.Deletions = g, NewDeletions(nil)
		o.Policy = func() Policy { return Policy{SyncTimeout: 30 * time.Second} }
	}).inProcess(t)
	t.Cleanup(func() {
		if err := r.options.Deletions.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r, g
}

func TestDeletions_OneThatTakesLongIsAnsweredWithWhereToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, g := newGated(t)
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme"})
		r.fill(t, "acme")
		r.disable(t, 0, "acme")
		for _, what := range []string{"DELETE /api/v1/admin/tenants/acme", "DELETE /api/v1/tenants/acme?version=2"} {
			began := time.Now()
			res := raw(t, r, what, "")
			var p client.Purge
			if err := json.Unmarshal([]byte(res.body), &p); err != nil {
				t.Fatal(err)
			}
			if res.status != http.StatusAccepted || time.Since(began) != 30*time.Second || res.header.Get("Location") != "/api/v1/purges/"+p.ID ||
				p.Kind != client.PurgeDeletion || p.TenantID != "acme" || p.Status != client.PurgeRunning || !p.FinishedAt.IsZero() || p.Result != nil {
				t.Errorf("%s: status %d after %s, %v: %s", what, res.status, time.Since(began), res.header, res.body)
			}
			if again := raw(t, r, "GET "+res.header.Get("Location"), ""); again.status != http.StatusOK || again.body != res.body {
				t.Errorf("asked again: status %d: %s", again.status, again.body)
			}
		}
		first, second := r.options.Deletions.list[0], r.options.Deletions.list[1]
		close(g.open)
		<-first.done
		<-second.done
		if (first.err == nil) == (second.err == nil) {
			t.Errorf("errors %v and %v: want that one of them deleted it", first.err, second.err)
		}
		if first.err != nil {
			first = second
		}
		p, err := r.Purge(t.Context(), first.id)
		if err != nil {
			t.Fatal(err)
		}
		var d client.Deletion
		if err := json.Unmarshal(p.Result, &d); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keptFor)
		_, err = r.Purge(t.Context(), first.id)
		wantCode(t, err, store.NotFound) // the name of a purged tenant is forgotten
		_, err = r.Purge(t.Context(), "nobody")
		wantCode(t, err, store.NotFound)
		_, err = r.Purge(t.Context(), "../x")
		wantCode(t, err, store.Invalid)
	})
}

func TestDeletions_TheClientWaitsForTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, g := newGated(t)
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme"}, client.NewTenant{ID: "off"}, client.NewTenant{ID: "busy", ActiveSubscriptions: 1})
		r.fill(t, "acme")
		r.disable(t, 0, "acme", "off", "busy")
		time.AfterFunc(10*time.Minute, func() { close(g.open) })
		began := time.Now()
		refused := make(chan error)
		go func() {
			_, err := r.Delete(t.Context(), "busy", 0)
			refused <- err
		}()
		done := make(chan error)
		go func() { done <- r.DeleteDisabled(t.Context(), "off", 2) }()
		d, err := r.Delete(t.Context(), "acme", 0)
		if err != nil || !d.Success || d.Data.Name != "Acme" || d.Data.ResourcesDeleted.Users != 4 || time.Since(began) < 10*time.Minute {
			t.Errorf("after %s: %+v, %v", time.Since(began), d, err)
		}
		if err := <-done; err != nil {
			t.Errorf("the other one: %v", err)
		}
		var blocked *store.BlockedError
		if err := <-refused; !errors.As(err, &blocked) || blocked.Block.Reason != store.BlockActiveSubscriptions {
			t.Errorf("a refused one: %v", err)
		}
	})
}

func TestDeletions_GoOnWhenTheCallerLeaves(t *testing.T) {
	r, g := newGated(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, 0, "acme")
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() {
		_, err := r.Delete(ctx, "acme", 0)
		answered <- err
	}()
	<-g.begun
	leave()
	wantCode(t, <-answered, store.Unavailable)
	close(g.open)
	d := r.options.Deletions.list[0]
	<-d.done
	if d.err != nil || !d.result.Success {
		t.Errorf("the deletion: %+v, %v", d.result, d.err)
	}
}

func TestDeletions_CloseEndsThoseUnderWayAndLetsNoneBegin(t *testing.T) {
	r, g := newGated(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, 0, "acme")
	answered := make(chan error)
	go func() {
		_, err := r.Delete(t.Context(), "acme", 0)
		answered <- err
	}()
	<-g.begun
	if err := r.options.Deletions.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wantCode(t, <-answered, store.Unavailable)
	_, err := r.Delete(t.Context(), "acme", 0)
	if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "about to stop") {
		t.Errorf("after the end: %v", err)
	}
	if got, err := r.store.Tenant(t.Context(), "acme"); err != nil || got.Status != store.StatusDisabled {
		t.Errorf("tenant %+v, %v", got, err)
	}
}

func TestDeletions_AreRememberedInBoundedNumber(t *testing.T) {
	ds := NewDeletions(nil)
	release := make(chan struct{})
	wait := func(context.Context) (client.Deletion, error) {
		<-release
		return client.Deletion{}, nil
	}
	for range keptDeletions {
		if _, err := ds.begin(t.Context(), "acme", wait); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ds.begin(t.Context(), "acme", wait); store.CodeOf(err) != store.Unavailable {
		t.Errorf("one too many: %v", err)
	}
	close(release)
	ds.running.Wait()
	oldest := ds.list[0]
	if _, err := ds.begin(t.Context(), "acme", wait); err != nil {
		t.Error(err)
	}
	if _, ok := ds.get(oldest.id); ok || len(ds.list) != keptDeletions {
		t.Errorf("%d remembered, the oldest one: %t", len(ds.list), ok)
	}
	if err := ds.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPurges_TellOfProgress(t *testing.T) {
	r := newRig(t).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, days(11), "acme")
	r.fill(t, "acme")
	claim, err := r.store.Claim(t.Context(), "acme", store.ClaimRequest{
		Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}, Owner: "test", Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Record(t.Context(), claim.Token, store.Advance{
		At: time.Now(), Lease: time.Hour, Target: "crm", Planned: store.Counts{Users: 90}, Deleted: store.Counts{Users: 40}}); err != nil {
		t.Fatal(err)
	}
	s := &server{Options: r.options}
	d := &deletion{id: "x", tenantID: "acme", began: time.Now().Add(-10 * time.Second), done: make(chan struct{})}
	p, err := s.wireDeletion(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	// 10 in the store and 90 in the target, of which 40 went in 10 seconds.
	if p.Done.Resources() != 40 || p.Remaining.Resources() != 60 || p.Rate < 3.9 || p.Rate > 4.01 {
		t.Errorf("purge %+v", p)
	}
	if rest := time.Until(p.ETA.Time); rest < 14*time.Second || rest > 16*time.Second {
		t.Errorf("it ends in %s, want 15s", rest)
	}
	r.create(t, client.NewTenant{ID: "globex"})
	r.disable(t, days(11), "globex")
	r.fill(t, "globex")
	report, err := r.Run(t.Context(), purge.TriggerRun)
	if err != nil {
		t.Fatal(err)
	}
	p, err = r.Purge(t.Context(), report.ID)
	if err != nil || p.Kind != client.PurgePass || p.Status != client.PurgeSucceeded || p.Done.OAuthClients != 1 || p.FinishedAt.IsZero() {
		t.Errorf("the pass: %+v, %v", p, err)
	}
}
