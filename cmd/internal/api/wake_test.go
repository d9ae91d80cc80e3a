package api

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// sleeper is a scheduler that notes when it is woken.
type sleeper struct {
	woken  int
	status scheduler.Status
}

func (*sleeper) Trigger(purge.Trigger) *scheduler.Ticket { return nil }
func (s *sleeper) Status() scheduler.Status              { return s.status }
func (s *sleeper) Wake()                                 { s.woken++ }

// What a person has made resumable need not wait for the scheduler's next look.
func TestWake_ARetryAndAResumptionAreFoundAtOnce(t *testing.T) {
	s := &sleeper{}
	r := newRig(t, func(o *Options) { o.Scheduler = s }).inProcess(t)
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now().AddDate(0, 0, -20)}
	if _, err := r.store.Create(t.Context(), store.Tenant{ID: "acme"}, o); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Retry(t.Context(), "acme"); err == nil || s.woken != 0 {
		t.Errorf("a retry that is refused: %v, woken %d times", err, s.woken)
	}
	if _, err := r.store.Update(t.Context(), "acme", store.Update{Origin: o, Change: store.Deactivate(10, store.Grace{}, nil)}); err != nil {
		t.Fatal(err)
	}
	o.At = time.Now()
	claim, err := r.store.Claim(t.Context(), "acme", store.ClaimRequest{Origin: o, Owner: "test", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Postpone(t.Context(), claim.Token, store.Failure{At: o.At}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Retry(t.Context(), "acme"); err != nil || s.woken != 1 {
		t.Errorf("a retry: %v, woken %d times", err, s.woken)
	}
	if _, err := r.Resume(t.Context(), client.ResumeRequest{}); err != nil || s.woken != 2 {
		t.Errorf("a resumption: %v, woken %d times", err, s.woken)
	}
}

func TestStatus_SaysWhenTheNextRetryIs(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := &sleeper{status: scheduler.Status{Schedule: "@weekly", NextRun: at.AddDate(0, 0, 5), NextRetry: at}}
	r := newRig(t, func(o *Options) { o.Scheduler = s }).inProcess(t)
	if got, err := r.Status(t.Context()); err != nil || !got.NextRetry.Equal(at) || !got.NextRun.Equal(at.AddDate(0, 0, 5)) {
		t.Errorf("%+v, %v", got, err)
	}
}
