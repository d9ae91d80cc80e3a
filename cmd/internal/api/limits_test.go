package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// waiting is an engine whose plans wait.
type waiting struct {
	Engine
	arrived, leave chan struct{}
}

func (e *waiting) Plan(ctx context.Context) (client.Report, error) {
	e.arrived <- struct{}{}
	<-e.leave
	return e.Engine.Plan(ctx)
}

func TestLimits_OneCallerHasHalfOfThePlacesAndAllOfThemTheWhole(t *testing.T) {
	engine := &waiting{arrived: make(chan struct{}), leave: make(chan struct{})}
	r := newRig(t, byName, func(o *Options) {
		o.Limits = func() Limits { return Limits{Concurrency: 3} }
		engine.Engine, o.Engine = o.Engine, engine
	}).inProcess(t)
	plan := func(who string) (answered, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://purger/api/v1/plan", nil)
		if err != nil {
			return answered{}, err
		}
		req.Header.Set("Test-Caller", who)
		res, err := r.transport.RoundTrip(req)
		if err != nil {
			return answered{}, err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return answered{res.StatusCode, res.Header, string(b)}, err
	}
	statuses := make(chan int, 3)
	begin := func(who string) {
		go func() {
			res, err := plan(who)
			if err != nil {
				t.Error(err)
			}
			statuses <- res.status
		}()
		<-engine.arrived
	}
	begin("jane")
	begin("jane")
	if res := by(t, r, "jane", "GET /api/v1/status", ""); res.status != http.StatusTooManyRequests || res.header.Get("Retry-After") != "1" || res.problem(t).Code != store.Exhausted {
		t.Errorf("more than half for one: %d %s", res.status, res.body)
	}
	if res := by(t, r, "joe", "GET /api/v1/status", ""); res.status != http.StatusOK {
		t.Errorf("the place of another: %d %s", res.status, res.body)
	}
	begin("joe")
	if res := by(t, r, "jack", "GET /api/v1/status", ""); res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") != "1" {
		t.Errorf("more than there are: %d %s", res.status, res.body)
	}
	close(engine.leave)
	for range 3 {
		if s := <-statuses; s != http.StatusOK {
			t.Errorf("one that was inside: %d", s)
		}
	}
	if res := by(t, r, "jack", "GET /api/v1/status", ""); res.status != http.StatusOK {
		t.Errorf("after they left: %d %s", res.status, res.body)
	}
}

// TestLimits_StrangersTakeNoPlaces opens as many connections as there are places, and
// more, in all the ways that want no token.
func TestLimits_StrangersTakeNoPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Limits = func() Limits { return Limits{Concurrency: 2} }
			o.Authenticate = func(r *http.Request) (Caller, error) {
				switch r.Header.Get("Authorization") {
				case "":
					return Caller{}, store.Errorf(store.Unauthenticated, "no token")
				case "hangs": // as one of which the issuer is asked
					<-r.Context().Done()
					return Caller{}, store.Errorf(store.Unavailable, "no answer")
				}
				return Caller{Actor: store.Actor{ID: "jane"}, Role: client.RoleViewer}, nil
			}
		})
		for _, begin := range []string{
			"GET " + DescriptionPath + " HTTP/1.1\r\nHost: purger\r\n\r\n",
			"GET /api/v1/status HTTP/1.1\r\nHost: purger\r\n\r\n",
			"GET /api/v1/status HTTP/1.1\r\nHost: purger\r\nAuthorization: hangs\r\n\r\n",
		} {
			for range 3 {
				write(t, connect(t, r.handler), begin) // and nothing of the answer is read
			}
		}
		synctest.Wait()
		conn := connect(t, r.handler)
		write(t, conn, "GET /api/v1/status HTTP/1.1\r\nHost: purger\r\nAuthorization: jane\r\n\r\n")
		if status, body, _ := took(t, conn); status != http.StatusOK {
			t.Errorf("beside strangers: %d %s", status, body)
		}
	})
}

// TestLimits_AnAnswerThatIsNotReadTakesNoPlace lets each of two callers not read an
// answer: that counts against them alone, and until it is cut off.
func TestLimits_AnAnswerThatIsNotReadTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, byName, func(o *Options) { o.Limits = func() Limits { return Limits{Concurrency: 2} } })
		for n := range 20 { // more than fits into a buffer on the way
			_, err := r.store.Create(t.Context(), store.Tenant{ID: fmt.Sprint("t-", n), Name: strings.Repeat("x", store.MaxNameLength)},
				store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
		}
		ask := func(who string) net.Conn {
			conn := connect(t, r.handler)
			write(t, conn, "GET /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nTest-Caller: "+who+"\r\n\r\n")
			synctest.Wait()
			return conn
		}
		ask("slow")
		ask("slower")
		if status, body, _ := took(t, ask("joe")); status != http.StatusOK {
			t.Errorf("another caller: %d %s", status, body)
		}
		if status, body, _ := took(t, ask("slow")); status != http.StatusTooManyRequests {
			t.Errorf("more of the slow one: %d %s", status, body)
		}
		time.Sleep(2 * stallTimeout)
		if status, body, _ := took(t, ask("slow")); status != http.StatusOK {
			t.Errorf("after its answer was cut off: %d %s", status, body)
		}
	})
}
