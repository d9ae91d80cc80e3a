package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestLimits_ACallerThatAsksTooOftenWaitsAndOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := Limits{PerSubject: 2, Burst: 3}
		gate := turnstile{limits: func() Limits { return limits }}
		ask := func(subject string) (string, error) {
			w := httptest.NewRecorder()
			err := gate.admit(w, subject, time.Now())
			return w.Header().Get("Retry-After"), err
		}
		for i := range 3 {
			if _, err := ask("jane"); err != nil {
				t.Errorf("request %d of the burst: %v", i+1, err)
			}
		}
		if after, err := ask("jane"); store.CodeOf(err) != store.Exhausted || after != "1" {
			t.Errorf("one too many: %v, Retry-After %q", err, after)
		}
		if _, err := ask("joe"); err != nil {
			t.Errorf("another caller: %v", err)
		}
		time.Sleep(500*time.Millisecond - time.Nanosecond)
		if _, err := ask("jane"); err == nil {
			t.Error("admitted before its time")
		}
		time.Sleep(time.Nanosecond)
		if _, err := ask("jane"); err != nil {
			t.Errorf("after half a second: %v", err)
		}
		limits = Limits{PerSubject: 100, Burst: 100} // a reload
		_, _ = ask("jane")                           // from here on they count
		time.Sleep(10 * time.Millisecond)
		if _, err := ask("jane"); err != nil {
			t.Errorf("with new limits: %v", err)
		}
		limits = Limits{}
		for range 1000 {
			if _, err := ask("jane"); err != nil {
				t.Fatalf("without limits: %v", err)
			}
		}
	})
}

func TestLimits_CallersAreForgottenOnceItMakesNoDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := turnstile{limits: func() Limits { return Limits{PerSubject: 1, Burst: 2} }}
		for i := range maxSubjects {
			_ = gate.admit(httptest.NewRecorder(), fmt.Sprint(i), time.Now())
		}
		_ = gate.admit(httptest.NewRecorder(), "greedy", time.Now())
		if len(gate.subjects) != maxSubjects+1 {
			t.Errorf("%d are remembered: one was forgotten that would start anew", len(gate.subjects))
		}
		time.Sleep(time.Second)
		_ = gate.admit(httptest.NewRecorder(), "late", time.Now())
		if len(gate.subjects) != 1 {
			t.Errorf("%d are remembered after a second, want the late one", len(gate.subjects))
		}
	})
}

func TestLimits_MoreRequestsThanPlacesAreToldToComeBack(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(o *Options) {
		o.Limits = func() Limits { return Limits{Concurrency: 2} }
		o.Authenticate = func(*http.Request) (Caller, error) {
			arrived <- struct{}{}
			<-leave
			return Caller{Actor: store.Actor{ID: "jane"}, Role: client.RoleViewer}, nil
		}
	}).inProcess(t)
	statuses := make(chan int, 2)
	for range 2 {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://purger/api/v1/status", nil)
			if err != nil {
				t.Error(err)
			}
			res, err := r.transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			statuses <- res.StatusCode
		}()
		<-arrived
	}
	if res := raw(t, r, "GET /api/v1/status", ""); res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") != "1" {
		t.Errorf("the third: %d %s", res.status, res.body)
	}
	close(leave)
	for range 2 {
		if s := <-statuses; s != http.StatusOK {
			t.Errorf("one that was inside: %d", s)
		}
	}
	go func() { <-arrived }()
	if res := raw(t, r, "GET /api/v1/status", ""); res.status != http.StatusOK {
		t.Errorf("after they left: %d %s", res.status, res.body)
	}
}
