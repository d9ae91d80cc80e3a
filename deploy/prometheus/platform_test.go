//go:build long

package prometheus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// platform is an API that says which tenants there are, and holds their users: a
// source and a target of a daemon.
type platform struct {
	url string

	mu      sync.Mutex
	rows    []row
	holding map[string]bool // tenants that have their one user
	release chan struct{}   // ends what hangs
	// How it behaves; nil is well.
	list, look, users func(http.ResponseWriter)
}

// row is a tenant as the platform lists it.
type row struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	DisabledAt string `json:"disabledAt,omitempty"`
}

// left is the row of a tenant that left so long ago that it is due.
func left(id string) row { return row{id, "disabled", "2025-09-01T08:30:00Z"} }

// newPlatform returns a platform that is well until the owner ends.
func newPlatform(owner *testing.T, rows ...row) *platform {
	p := &platform{rows: rows, holding: map[string]bool{}, release: make(chan struct{})}
	for _, r := range rows {
		p.holding[r.ID] = true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tenants", func(w http.ResponseWriter, _ *http.Request) {
		p.answer(w, p.behaviour(&p.list), func() any { return p.rows })
	})
	mux.HandleFunc("GET /tenants/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.answer(w, p.behaviour(&p.look), func() any {
			for _, t := range p.rows {
				if t.ID == r.PathValue("id") {
					return t
				}
			}
			w.WriteHeader(http.StatusNotFound)
			return struct{}{}
		})
	})
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, r *http.Request) {
		p.answer(w, p.behaviour(&p.users), func() any {
			ids := []string{}
			if id := r.URL.Query().Get("tenant"); p.holding[id] {
				ids = append(ids, id)
			}
			return ids
		})
	})
	mux.HandleFunc("DELETE /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.answer(w, p.behaviour(&p.users), func() any { delete(p.holding, r.PathValue("id")); return struct{}{} })
	})
	srv := httptest.NewServer(mux)
	owner.Cleanup(func() {
		p.recover(nil)
		srv.Close()
	})
	p.url = srv.URL
	return p
}

// behaviour returns what is asked for in place of an answer; nil for none.
func (p *platform) behaviour(of *func(http.ResponseWriter)) func(http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *of
}

// answer sends a value, read under the lock, unless there is a behaviour.
func (p *platform) answer(w http.ResponseWriter, instead func(http.ResponseWriter), value func() any) {
	if instead != nil {
		instead(w)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value()) // whoever asked may be gone
}

// be changes the platform.
func (p *platform) be(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// hangs gives no answer until the platform recovers, and then ends the connection.
func (p *platform) hangs(http.ResponseWriter) {
	<-p.release
	panic(http.ErrAbortHandler)
}

// recover ends what hangs, once, and lists tenants by that from now on.
func (p *platform) recover(list func(http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	select {
	case <-p.release:
	default:
		close(p.release)
	}
}

// broken answers that something is wrong.
func broken(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }

// gone ends the connection.
func gone(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// source returns the configuration of a daemon for which the platform says which
// tenants there are. It is asked at the start, and when the test says so.
func (p *platform) source(more string) string {
	return quiet + fmt.Sprintf(`source:
  type: rest
  baseUrl: %s
  timeout: 10m
  list: {url: /tenants}
  get: {url: "/tenants/{id}"}
  fields: {id: id, status: status, disabledAt: disabledAt}
  every: 1h
%s`, p.url, more)
}

// target returns the configuration of a daemon that has the platform as a target.
func (p *platform) target(policy string) string {
	return quiet + fmt.Sprintf(`targets:
  - name: directory
    type: rest
    baseUrl: %s
    kinds:
      user:
        list: {url: "/users?tenant={tenant}"}
        delete: {url: "/users/{id}"}
    policy: {retries: 0, concurrency: 1, %s}
`, p.url, policy)
}

// window returns a window that opens in an hour, for an hour.
func window() string {
	opens := time.Now().UTC().Add(time.Hour)
	return fmt.Sprintf("window: '%s-%s UTC'", opens.Format("15:04"), opens.Add(time.Hour).Format("15:04"))
}

// exposes waits until the daemon exposes a sample.
func (d *daemon) exposes(t *testing.T, sample string) {
	t.Helper()
	deploytest.Eventually(t, 20*time.Millisecond, func() string {
		p, err := fetch("http://"+d.address+"/metrics", "")
		switch {
		case err != nil:
			return err.Error()
		case strings.Contains(p.body, "\n"+sample+"\n"):
			return ""
		}
		return fmt.Sprintf("the daemon does not expose %s:\n%s", sample, d.process.Log())
	})
}

// scraped waits until others have asked for the daemon's metrics some times, so
// that each Prometheus has: of a counter that it first sees above 0 it knows no
// increase.
func (d *daemon) scraped(t *testing.T) {
	t.Helper()
	answered := regexp.MustCompile(`(?m)^purger_http_requests_total\{code="200",route="[^"]*/metrics"\} (\d+)$`)
	own := 0
	deploytest.Eventually(t, interval, func() string {
		p, err := fetch("http://"+d.address+"/metrics", "")
		if err != nil {
			return err.Error()
		}
		own++
		if m := answered.FindStringSubmatch(p.body); m != nil {
			if all, err := strconv.Atoi(m[1]); err == nil && all-own >= 8 {
				return ""
			}
		}
		return "nobody scrapes the daemon"
	})
}
