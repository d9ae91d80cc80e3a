package oauthtarget_test

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_EveryRequestCountsForTheRate has calls that take longer than their
// time-out, each client of which takes two requests and holds a lock between them.
func TestPurge_EveryRequestCountsForTheRate(t *testing.T) {
	const rate, clients = 50, 40
	f := newFake(t, clients)
	var requests atomic.Int64
	f.intercept = func(http.ResponseWriter, *http.Request) bool { requests.Add(1); return false }
	target, err := oauthtarget.New(oauthtarget.Config{
		Name: "login", BaseURL: f.url, Journal: filepath.Join(t.TempDir(), "journal"), Parallel: 8,
	}, oauthtarget.Options{Registry: f})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries = rate, 300*time.Millisecond, 0
	g, err := purge.Guarded(target, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	deleted, more := int64(0), true
	for more {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindOAuthClient, Limit: 1000})
		if err != nil || did.Inexact {
			t.Fatalf("%+v, %v", did, err)
		}
		deleted, more = deleted+did.Deleted, did.More
	}
	took, n := time.Since(began), requests.Load()
	if least := time.Duration(n-1) * time.Second / rate; n != 2*clients || took < least {
		t.Errorf("%d requests took %s, want %s at %d a second", n, took, least, rate)
	}
	if deleted != clients || f.there() != 0 {
		t.Errorf("%d removed of %d, and %d are there", deleted, clients, f.there())
	}
}

// TestPurge_AStepOfASlowServerIsAShortOne has a removal of everybody take four times
// as long as a call may.
func TestPurge_AStepOfASlowServerIsAShortOne(t *testing.T) {
	const clients, each, timeout = 40, 50 * time.Millisecond, 500 * time.Millisecond
	f := newFake(t, clients)
	f.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			<-time.After(each)
		}
		return false
	}
	p := purge.DefaultPolicy()
	p.Timeout, p.Retries = timeout, 0
	g, err := purge.Guarded(f.target(t, filepath.Join(t.TempDir(), "journal")), p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deleted, more := int64(0), true
	for more {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindOAuthClient, Limit: 1000})
		if err != nil || did.Inexact || did.Deleted == 0 && did.More {
			t.Fatalf("%+v, %v", did, err)
		}
		deleted, more = deleted+did.Deleted, did.More
	}
	if deleted != clients || f.there() != 0 {
		t.Errorf("%d removed of %d, and %d are there", deleted, clients, f.there())
	}
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
