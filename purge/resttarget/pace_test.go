package resttarget_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// meter notes when requests come in, and tells of the n-th.
type meter struct {
	mu   sync.Mutex
	n    int
	came []time.Time
	nth  chan struct{}
}

func newMeter(a *api, n int) *meter {
	m := &meter{n: n, nth: make(chan struct{})}
	a.interfere = func(http.ResponseWriter, *http.Request) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.came = append(m.came, time.Now()); len(m.came) == m.n {
			close(m.nth)
		}
		return false
	}
	return m
}

// wantAtMost checks the first n requests against a rate, with a burst of 1. A request
// that is late on its way has the next one come sooner: half a second is allowed for.
func (m *meter) wantAtMost(t *testing.T, n int, rate float64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, len(m.came))
	if took, least := m.came[n-1].Sub(m.came[0]).Seconds(), float64(n-1)/rate; took < least-0.5 {
		t.Errorf("%d requests in %.2f s, at %v a second that is %.2f s", n, took, rate, least)
	}
	for i, first := range m.came[:n] {
		within := 0
		for _, at := range m.came[i:n] {
			if at.Sub(first) < time.Second {
				within++
			}
		}
		if within > int(1.5*rate)+1 {
			t.Errorf("%d requests in a second from number %d on, want %v", within, i, rate)
		}
	}
}

// ofAcme returns a store in which acme is due, an API with n users of it, and a
// guarded target.
func ofAcme(t *testing.T, n int, p purge.Policy, configure func(base string, kinds ...store.Kind) resttarget.Config) (*boltstore.Store, *api, *purge.GuardedTarget, *purge.Engine) {
	t.Helper()
	s, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir(), MmapSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	at := store.Trim(time.Now().Add(-time.Hour))
	o := store.Origin{Actor: store.Actor{ID: "uid:1000"}, At: time.Now()}
	if err := s.BeginImport(t.Context(), store.Import{Digest: "test"}, o); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportBatch(t.Context(), store.Batch{Tenants: []store.Tenant{{ID: "acme", Name: "Acme", Status: store.StatusDisabled,
		DisabledAt: at.Add(-30 * 24 * time.Hour), PurgeAfterDays: 30, EstimatedPurgeDate: at}}}, o); err != nil {
		t.Fatal(err)
	}
	if err := s.EndImport(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, "")
	if err := a.add("acme", store.KindUser, n); err != nil {
		t.Fatal(err)
	}
	g, err := purge.Guarded(newTarget(t, configure(start(t, a).URL, store.KindUser)), p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settings := purge.DefaultSettings()
	settings.Attempts = 1
	e, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{g}, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return s, a, g, e
}

// byRate is a policy without retries, and with a time-out that the waits exceed.
func byRate(rate float64) purge.Policy {
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries, p.BreakerFailures = rate, 2*time.Second, 0, 1
	return p
}

func setRate(t *testing.T, g *purge.GuardedTarget, rate float64) {
	t.Helper()
	p := g.Policy()
	p.Rate = rate
	if err := g.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
}

func wantReceipt(t *testing.T, s *boltstore.Store, users int64) {
	t.Helper()
	if r, err := s.Receipt(t.Context(), "acme"); err != nil || !r.CountsExact || r.Deleted.Users != users {
		t.Errorf("the receipt says %+v, exact %t, %v", r.Deleted, r.CountsExact, err)
	}
}

func cursored(base string, kinds ...store.Kind) resttarget.Config {
	return listed(base, styles()["cursor"], kinds...)
}

// TestRate_BoundsTheRequestsThatTheAPISees purges 100 users at 10 requests a second,
// which takes longer than the time-out of a call, and faster once it is allowed.
func TestRate_BoundsTheRequestsThatTheAPISees(t *testing.T) {
	const slow = 35
	s, a, g, e := ofAcme(t, 100, byRate(10), cursored)
	m := newMeter(a, slow)
	faster := make(chan time.Time)
	go func() {
		<-m.nth
		setRate(t, g, 200)
		faster <- time.Now()
	}()
	r, err := e.Run(t.Context(), purge.TriggerRun)
	if err != nil || len(r.Tenants) != 1 || r.Tenants[0].Outcome != purge.OutcomeDeleted {
		t.Fatalf("%+v, %v", r, err)
	}
	if took := time.Since(<-faster); took > 4*time.Second { // at 10 a second it is 8 s
		t.Errorf("the rest took %s at 200 requests a second", took)
	}
	wantReceipt(t, s, 100)
	m.wantAtMost(t, slow, 10)
}

// TestRate_G5_AStopInTheMidstOfAStepIsExact stops a pass that would go on for many
// seconds, and finishes the purge without a rate.
func TestRate_G5_AStopInTheMidstOfAStepIsExact(t *testing.T) {
	s, a, g, e := ofAcme(t, 300, byRate(10), cursored)
	m := newMeter(a, 25)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan time.Time)
	go func() {
		<-m.nth
		cancel()
		stopped <- time.Now()
	}()
	if _, err := e.Run(ctx, purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(<-stopped); took > 2*time.Second { // what is under way ends
		t.Errorf("a stop took %s", took)
	}
	left, err := a.left("acme", store.KindUser)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if p := v.Purge; left == 300 || p.Deleted.Users != 300-left || p.CountsInexact || p.Attempts != 0 {
		t.Errorf("%d are removed, and on record is %+v", 300-left, p)
	}
	m.wantAtMost(t, 25, 10)
	setRate(t, g, 0)
	if _, err := e.Run(t.Context(), purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
	wantReceipt(t, s, 300)
}

// A removal of everybody takes 2 seconds.
func TestPurge_AStepOfASlowServerIsAShortOne(t *testing.T) {
	a := newAPI(t, "")
	a.interfere = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			<-time.After(50 * time.Millisecond)
		}
		return false
	}
	cfg := cursored(start(t, a).URL, store.KindUser)
	cfg.Parallel = 1
	targettest.Slow(t, targettest.System{Target: newTarget(t, cfg), Add: a.add, Left: a.left}, store.KindUser, 40)
}

// TestRate_ABulkRequestIsOne purges everybody with one request.
func TestRate_ABulkRequestIsOne(t *testing.T) {
	s, a, _, e := ofAcme(t, 100, byRate(10), atOnce)
	m := newMeter(a, 1)
	if _, err := e.Run(t.Context(), purge.TriggerRun); err != nil {
		t.Fatal(err)
	}
	wantReceipt(t, s, 100)
	if n := len(m.came); n > 5 {
		t.Errorf("%d requests, want a few", n)
	}
	m.wantAtMost(t, len(m.came), 10)
}

// TestRate_ToWaitForACallThatWaitsForItIsNoTimeOut has the second call be let in
// while the first one has the turn of the tenant and waits for its next request.
func TestRate_ToWaitForACallThatWaitsForItIsNoTimeOut(t *testing.T) {
	p := byRate(2)
	p.Timeout = 500 * time.Millisecond
	_, a, g, _ := ofAcme(t, 1, p, func(base string, kinds ...store.Kind) resttarget.Config {
		cfg := cursored(base, kinds...)
		cfg.Kinds[store.KindUser].Delete.Repeat = 2
		return cfg
	})
	purgeOnce := func() int64 {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
		if err != nil {
			t.Error(err)
		}
		return did.Deleted
	}
	second := make(chan int64, 1)
	var once sync.Once
	a.interfere = func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() {
			go func() { second <- purgeOnce() }()
			<-time.After(50 * time.Millisecond)
		})
		return false
	}
	if deleted := purgeOnce() + <-second; deleted != 1 {
		t.Errorf("%d removed of 1", deleted)
	}
}
