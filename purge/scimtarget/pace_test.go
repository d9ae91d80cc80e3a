package scimtarget_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_EveryRequestCountsForTheRate has a server with Bulk, where one request
// removes many, and one without; calls take longer than their time-out.
func TestPurge_EveryRequestCountsForTheRate(t *testing.T) {
	const rate = 50
	for name, c := range map[string]struct {
		bulk        string
		users, most int
	}{
		"bulk":    {`{"supported":true,"maxOperations":10,"maxPayloadSize":100000}`, 60, 40},
		"without": {`{"supported":false}`, 60, 120},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			requests := 0
			d := &directory{bulk: c.bulk, intercept: func(http.ResponseWriter, *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				requests++
				return false
			}}
			target := d.serve(t, func(cfg *scimtarget.Config) { cfg.Parallel = 8 })
			if err := d.add("acme", store.KindUser, c.users); err != nil {
				t.Fatal(err)
			}
			p := purge.DefaultPolicy()
			p.Rate, p.Timeout, p.Retries = rate, 300*time.Millisecond, 0
			g, err := purge.Guarded(target, p, purge.GuardOptions{})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			deleted, more := int64(0), true
			for more {
				did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000})
				if err != nil || did.Inexact {
					t.Fatalf("%+v, %v", did, err)
				}
				deleted, more = deleted+did.Deleted, did.More
			}
			took := time.Since(began)
			if n, err := g.Count(t.Context(), "acme", store.KindUser); err != nil || n != 0 || deleted != int64(c.users) {
				t.Errorf("%d removed of %d, %d left, %v", deleted, c.users, n, err)
			}
			if least := time.Duration(requests-2) * time.Second / rate; took < least { // the count is one or more
				t.Errorf("%d requests took %s, want %s at %d a second", requests, took, least, rate)
			}
			if requests > c.most {
				t.Errorf("%d requests, want %d at most", requests, c.most)
			}
		})
	}
}

// TestPurge_AStepOfASlowServerIsAShortOne has a removal of everybody take four times
// as long as a call may.
func TestPurge_AStepOfASlowServerIsAShortOne(t *testing.T) {
	const users, each, timeout = 40, 50 * time.Millisecond, 500 * time.Millisecond
	d := &directory{intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			<-time.After(each)
		}
		return false
	}}
	target := d.serve(t, func(cfg *scimtarget.Config) { cfg.Parallel, cfg.PageSize = 1, 2 })
	if err := d.add("acme", store.KindUser, users); err != nil {
		t.Fatal(err)
	}
	p := purge.DefaultPolicy()
	p.Timeout, p.Retries = timeout, 0
	g, err := purge.Guarded(target, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deleted, more := int64(0), true
	for more {
		did, err := g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000})
		if err != nil || did.Inexact || did.Deleted == 0 && did.More {
			t.Fatalf("%+v, %v", did, err)
		}
		deleted, more = deleted+did.Deleted, did.More
	}
	if deleted != users {
		t.Errorf("%d removed of %d", deleted, users)
	}
}

// TestCount_ToWaitForACallThatWaitsForTheRateIsNoTimeOut has the second call be let
// in while the first one asks the server what it can, one request a second.
func TestCount_ToWaitForACallThatWaitsForTheRateIsNoTimeOut(t *testing.T) {
	var g *purge.GuardedTarget
	countOnce := func() error {
		_, err := g.Count(t.Context(), "acme", store.KindUser)
		return err
	}
	second := make(chan error, 1)
	var once sync.Once
	d := &directory{intercept: func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() {
			go func() { second <- countOnce() }()
			<-time.After(50 * time.Millisecond)
		})
		return false
	}}
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries = 1, 500*time.Millisecond, 0
	var err error
	if g, err = purge.Guarded(d.serve(t, nil), p, purge.GuardOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := countOnce(); err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
}
