package oauthtarget_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// system returns the fake, with a target that removes so many clients at a time.
func (f *fake) system(t *testing.T, parallel int) targettest.System {
	t.Helper()
	target, err := oauthtarget.New(oauthtarget.Config{
		Name: "login", BaseURL: f.url, Journal: filepath.Join(t.TempDir(), "journal"), Parallel: parallel,
	}, oauthtarget.Options{Registry: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return targettest.System{
		Target: target,
		Add: func(_ string, _ store.Kind, n int) error {
			for range n {
				f.register(fmt.Sprint(f.there() + 1))
			}
			return nil
		},
		Left: func(string, store.Kind) (int64, error) { return int64(f.there()), nil },
	}
}

// Each client takes two requests, and its lock is held between them.
func TestPurge_EveryRequestCountsForTheRate(t *testing.T) {
	const clients = 40
	f := newFake(t, 0)
	all := func() int { return f.called(http.MethodGet) + f.called(http.MethodDelete) }
	if n := targettest.Pace(t, f.system(t, 8), store.KindOAuthClient, clients, all); n != 2*clients {
		t.Errorf("%d requests, want %d", n, 2*clients)
	}
}

// A removal of everybody takes 2 seconds.
func TestPurge_AStepOfASlowServerIsAShortOne(t *testing.T) {
	f := newFake(t, 0)
	f.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			<-time.After(50 * time.Millisecond)
		}
		return false
	}
	targettest.Slow(t, f.system(t, 1), store.KindOAuthClient, 40)
}

// TestPurge_ToWaitForACallThatWaitsForTheRateIsNoTimeOut has the second call be let
// in while the first one has the lock of the client and waits for its next request.
func TestPurge_ToWaitForACallThatWaitsForTheRateIsNoTimeOut(t *testing.T) {
	f := newFake(t, 1)
	var g *purge.GuardedTarget
	purgeOnce := func() int64 {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindOAuthClient, Limit: 10})
		if err != nil {
			t.Error(err)
		}
		return did.Deleted
	}
	second := make(chan int64, 1)
	f.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			go func() { second <- purgeOnce() }()
			<-time.After(50 * time.Millisecond)
		}
		return false
	}
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries = 1, 500*time.Millisecond, 0
	var err error
	if g, err = purge.Guarded(f.target(t, filepath.Join(t.TempDir(), "journal")), p, purge.GuardOptions{}); err != nil {
		t.Fatal(err)
	}
	if deleted := purgeOnce() + <-second; deleted != 1 {
		t.Errorf("%d removed of 1", deleted)
	}
}
