package httpcall_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// refuser answers what is next in a row: "" is 200, "-" is 429 that says no more, and
// else it is 429 with that Retry-After. At the end it begins again.
type refuser struct {
	row []string
	n   int
}

func (f *refuser) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s := f.row[f.n%len(f.row)]
	if f.n++; s != "" {
		if s != "-" {
			w.Header().Set("Retry-After", s)
		}
		w.WriteHeader(http.StatusTooManyRequests)
	}
	return w.Result(), nil
}

// TestPatience_AsksAgainWithinItsBounds has a call that asks until an error.
func TestPatience_AsksAgainWithinItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		row    []string
		asked  int
		waited time.Duration
	}{
		"the first request is for the guard":     {[]string{"1", ""}, 1, 0},
		"ten times in a row":                     {append([]string{""}, "1", "1", "1", "1", "1", "1", "1", "1", "1", "1"), 11, 9 * time.Second},
		"longer and longer":                      {[]string{"", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}, 9, 95 * time.Second},
		"a minute at the most":                   {[]string{"", "60", "", "61"}, 4, time.Minute},
		"two minutes in all":                     {[]string{"", "50", "", "50", "", "21"}, 6, 100 * time.Second},
		"two minutes in all, to the last second": {[]string{"", "60", "", "60", "", "1"}, 6, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &refuser{row: c.row}
			client, err := httpcall.New(httpcall.Config{BaseURL: "https://api.example.com"}, httpcall.Options{Transport: f})
			if err != nil {
				t.Fatal(err)
			}
			var p httpcall.Patience
			began := time.Now()
			for err == nil {
				_, err = p.Do(t.Context(), client, httpcall.Request{URL: "/list"})
			}
			if f.n != c.asked || time.Since(began) != c.waited || store.CodeOf(err) != store.Exhausted {
				t.Errorf("%s: %d requests in %s, %v; want %d in %s", name, f.n, time.Since(began), err, c.asked, c.waited)
			}
		})
	}
}

func TestPatience_AStopEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := httpcall.New(httpcall.Config{BaseURL: "https://api.example.com"}, httpcall.Options{Transport: &refuser{row: []string{"", "30"}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var p httpcall.Patience
		began := time.Now()
		for err == nil {
			_, err = p.Do(ctx, client, httpcall.Request{URL: "/list"})
		}
		if time.Since(began) != 10*time.Second || store.CodeOf(err) != store.Unavailable || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %s; want an error of a request that was not sent, at once", err, time.Since(began))
		}
	})
}
