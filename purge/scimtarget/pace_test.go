package scimtarget_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// system returns the directory, with a target.
func (d *directory) system(t *testing.T, change func(*scimtarget.Config)) targettest.System {
	t.Helper()
	return targettest.System{Target: d.serve(t, change), Add: d.add, Left: d.left}
}

// On a server with Bulk one request removes many.
func TestPurge_EveryRequestCountsForTheRate(t *testing.T) {
	for name, c := range map[string]struct {
		bulk        string
		users, most int
	}{
		"bulk":    {`{"supported":true,"maxOperations":10,"maxPayloadSize":100000}`, 100, 40},
		"without": {`{"supported":false}`, 60, 120},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{bulk: c.bulk}
			sys := d.system(t, func(cfg *scimtarget.Config) { cfg.Parallel = 8 })
			if n := targettest.Pace(t, sys, store.KindUser, c.users, func() int { return d.called("") }); n > c.most {
				t.Errorf("%d requests, want %d at most", n, c.most)
			}
		})
	}
}

// A removal of everybody takes 2 seconds.
func TestPurge_AStepOfASlowServerIsAShortOne(t *testing.T) {
	d := &directory{intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			<-time.After(50 * time.Millisecond)
		}
		return false
	}}
	targettest.Slow(t, d.system(t, func(cfg *scimtarget.Config) { cfg.Parallel, cfg.PageSize = 1, 2 }), store.KindUser, 40)
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
