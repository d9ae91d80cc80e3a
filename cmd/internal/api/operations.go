package api

import (
	"context"
	"html"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// The bounds of the operations endpoints.
const (
	scrapeTimeout   = 10 * time.Second
	scrapesAtATime  = 4
	readyTimeout    = 2 * time.Second
	defaultStaleAge = 3 * scheduler.DefaultHeartbeat
)

// OperationsOptions configure [OperationsHandler].
type OperationsOptions struct {
	Gatherer prometheus.Gatherer // required; what /metrics shows
	Store    store.Store         // required; read by /-/ready
	// Scheduler's loop must be alive for /-/ready; nil is not asked.
	Scheduler Scheduler
	// StaleAfter is the age of the loop's last beat from which on it is taken
	// for dead. 0: three times [scheduler.DefaultHeartbeat].
	StaleAfter time.Duration
	// Reload loads the configuration anew; its error is the answer. nil: there
	// is nothing to reload.
	Reload func(context.Context) error
	// Authenticate says who asks for a reload from another machine, which only a
	// super_admin may. nil knows nobody.
	Authenticate func(*http.Request) (Caller, error)

	Version string
	Logger  *zap.Logger      // nil logs nothing
	Metrics *metrics.Metrics // nil counts nothing
}

// operations answers the operations endpoints.
type operations struct {
	OperationsOptions
}

// OperationsHandler returns the handler for the TCP address that Prometheus and
// probes use: /metrics, /-/healthy, /-/ready, /-/reload (PUT or POST) and a
// landing page. Nothing of a tenant is in it but numbers. A reload is for whoever is
// on this machine, and for a super_admin elsewhere, but not for a request that a
// browser makes for a page of another origin.
func OperationsHandler(o OperationsOptions) http.Handler {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.StaleAfter == 0 {
		o.StaleAfter = defaultStaleAge
	}
	ops := &operations{o}
	log := o.Logger.Named("web")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(log),
		// An error in one metric fails the scrape: half of the truth would look
		// like all of it.
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: scrapesAtATime,
		Timeout:             scrapeTimeout,
		EnableOpenMetrics:   true,
	}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "healthy") })
	mux.HandleFunc("GET /-/ready", ops.ready)
	mux.HandleFunc("POST /-/reload", ops.reload)
	mux.HandleFunc("PUT /-/reload", ops.reload)
	if page, err := landingPage(o.Version); err == nil {
		mux.Handle("GET /{$}", page)
	}
	route := func(r *http.Request) string {
		if _, pattern := mux.Handler(r); pattern != "" {
			return pattern
		}
		return unmatched
	}
	// A line for each scrape and probe would tell nothing that its asker does not know.
	return observe(http.NewCrossOriginProtection().Handler(mux), route, log, zapcore.DebugLevel, o.Metrics)
}

// landingPage returns the page at "/".
func landingPage(version string) (http.Handler, error) {
	return web.NewLandingPage(web.LandingConfig{
		Name: "purger", Description: "Off-boards tenants: a grace period, then a purge for good, with a receipt.",
		Version:   html.EscapeString(version), // the page is a text template
		Profiling: "false",
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "Metrics"},
			{Address: "/-/healthy", Text: "Healthy", Description: "the process answers"},
			{Address: "/-/ready", Text: "Ready", Description: "the store can be read and passes are made"},
		},
	})
}

// ready answers GET /-/ready.
func (o *operations) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := o.Store.Gates(ctx); err != nil {
		noteError(w, err)
		say(w, http.StatusServiceUnavailable, "not ready: the store cannot be read: "+err.Error())
		return
	}
	if o.Scheduler != nil {
		beat := o.Scheduler.Status().LastBeat
		if beat.IsZero() {
			say(w, http.StatusServiceUnavailable, "not ready: the scheduler has not begun")
			return
		}
		if age := time.Since(beat); age >= o.StaleAfter {
			say(w, http.StatusServiceUnavailable, "not ready: the scheduler has not moved for "+age.Round(time.Second).String())
			return
		}
	}
	say(w, http.StatusOK, "ready")
}

// reload answers PUT and POST /-/reload.
func (o *operations) reload(w http.ResponseWriter, r *http.Request) {
	if o.Reload == nil {
		say(w, http.StatusNotFound, "there is nothing to reload")
		return
	}
	if err := o.mayReload(r); err != nil {
		if codeOf(err) == store.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		noteError(w, err)
		say(w, client.OutcomeOf(codeOf(err)).Status, "not reloaded: "+err.Error())
		return
	}
	if err := o.Reload(r.Context()); err != nil {
		noteError(w, err)
		say(w, client.OutcomeOf(codeOf(err)).Status, "not reloaded, nothing has changed: "+err.Error())
		return
	}
	say(w, http.StatusOK, "reloaded")
}

// mayReload refuses who may not reload.
func (o *operations) mayReload(r *http.Request) error {
	if fromLoopback(r.RemoteAddr) {
		return nil
	}
	if o.Authenticate == nil {
		return store.Errorf(store.Unauthenticated, "nobody is known here; ask from this machine")
	}
	c, err := o.Authenticate(r)
	if err == nil && !c.Role.AtLeast(client.RoleSuperAdmin) {
		err = store.Errorf(store.Forbidden, "%s wants the role %s; %s has %s", r.URL.Path, client.RoleSuperAdmin, store.Quote(c.Actor.ID), c.roleText())
	}
	return err
}

// say answers with a line of text.
func say(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.TrimRight(text, "\n") + "\n")) // nobody is left to tell
}
