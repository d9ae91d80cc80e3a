package httpcall_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// caller is a target that makes three requests in a call.
type caller struct{ client *httpcall.Client }

func (caller) Name() string        { return "crm" }
func (caller) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

func (c caller) Count(ctx context.Context, tenantID string, _ store.Kind) (int64, error) {
	for range 3 {
		a, err := c.client.Do(ctx, httpcall.Request{URL: "/" + tenantID})
		if err != nil {
			return 0, err
		}
		if !a.OK() {
			return 0, httpcall.StatusError(httpcall.Request{}, a)
		}
	}
	return 0, nil
}

func (c caller) Purge(context.Context, purge.Request) (purge.Removed, error) {
	return purge.Removed{}, nil
}

// TestDo_EachRequestWaitsForTheRate has eight calls at a time, which begin without a
// token, and take longer together than one may. A token is a request, and a request
// that was refused is made again.
func TestDo_EachRequestWaitsForTheRate(t *testing.T) {
	const rate, calls = 20, 8
	i := &issuer{expiresIn: 3600}
	var mu sync.Mutex
	var came []time.Time
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		came = append(came, time.Now())
		mu.Unlock()
		i.ServeHTTP(w, r)
	})
	p := purge.DefaultPolicy()
	p.Rate, p.Timeout, p.Retries = rate, 500*time.Millisecond, 0
	g, err := purge.Guarded(caller{newClient(t, httpcall.Config{BaseURL: s.URL, Auth: httpcall.Auth{OAuth: httpcall.OAuth{
		TokenURL: s.URL + "/token", ClientID: "me", ClientSecret: "s",
	}}})}, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, err := g.Count(t.Context(), "acme", store.KindUser); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	i.valid.Add(100) // the token is revoked
	if _, err := g.Count(t.Context(), "acme", store.KindUser); err != nil {
		t.Error(err)
	}
	// A token, three requests a call; another token, and one that was refused.
	if want := 1 + 3*calls + 1 + 1 + 3; len(came) != want || i.issued.Load() != 2 {
		t.Errorf("%d requests, %d of them for tokens; want %d and 2", len(came), i.issued.Load(), want)
	}
	if took, least := time.Since(began), time.Duration(len(came)-1)*time.Second/rate; took < least {
		t.Errorf("%d requests took %s, want %s at %d a second", len(came), took, least, rate)
	}
}

// TestDo_AStopWhileItWaitsIsNoLostAnswer has the caller go while a request waits.
func TestDo_AStopWhileItWaitsIsNoLostAnswer(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	p := purge.DefaultPolicy()
	p.Rate, p.Retries = 0.001, 0
	g, err := purge.Guarded(caller{newClient(t, httpcall.Config{BaseURL: s.URL})}, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = g.Count(ctx, "acme", store.KindUser)
	if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "/acme: not sent") {
		t.Errorf("%v; want unavailable: nothing was sent", err)
	}
}
