//go:build long

package prometheus_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// families are the metrics that operators build on, with their labels, by type.
// Those of external targets come with the first target.
var families = map[string][]string{
	"gauge": {
		"build_info{goversion,revision,version}", "config_last_reload_success_timestamp_seconds", "config_last_reload_successful",
		"halted{reason}", "import_incomplete", "last_run_timestamp_seconds{result}", "last_success_timestamp_seconds",
		"next_purge_timestamp_seconds", "next_run_timestamp_seconds", "oldest_overdue_seconds", "oldest_purging_seconds", "paused",
		"run_in_progress", "run_remaining_tenants", "source_dead_letters", "source_last_sync_timestamp_seconds", "source_rows{outcome}",
		"source_sync_failed", "source_sync_interval_seconds", "source_sync_refused", "source_vanished_tenants", "space_short", "store_free_bytes", "store_freelist_bytes", "store_size_bytes",
		"tenants{status}", "tenants_blocked{reason}", "tenants_due",
	},
	"counter": {
		"deactivations_total", "http_requests_total{code,route}", "limit_hits_total{limit}", "purge_failures_total{kind,reason,target}",
		"reactivations_total", "resources_purged_total{kind,target}", "resources_unaccounted_total{kind,target}", "runs_total{result,trigger}",
		"source_checks_total{result}", "source_syncs_total{result}",
		"target_postponed_total{reason,target}", "target_retries_total{target}",
		"tenants_purged_total", "verification_leftovers_total{kind,target}",
	},
	"histogram": {
		"purge_lateness_seconds{le}", "run_duration_seconds{le,trigger}", "source_sync_duration_seconds{le}", "tenant_purge_duration_seconds{le}",
	},
}

// sample matches a line of the text format.
var sample = regexp.MustCompile(`^(purger_\w+?)(?:\{(.*)\})? (\S+)$`)

func TestExposition_EveryMetricIsThereAndCountersBeginAtZero(t *testing.T) {
	d := newDaemon(t, deploytest.BuildPurger(t))
	d.start(t)
	if _, err := fetch("http://"+d.address+"/metrics", ""); err != nil { // counted in what follows
		t.Fatal(err)
	}
	p, err := fetch("http://"+d.address+"/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	types, labels := map[string]string{}, map[string]string{}
	for line := range strings.Lines(p.body) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "purger_") {
			types[f[2]] = f[3]
		}
		m := sample.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		var names []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			names = append(names, l[1])
		}
		slices.Sort(names)
		name := strings.TrimSuffix(m[1], "_bucket")
		labels[name] = ""
		if len(names) > 0 {
			labels[name] = "{" + strings.Join(names, ",") + "}"
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if types[name] != "gauge" && value != 0 && name != "purger_http_requests_total" {
			t.Errorf("nothing has happened, and there is %s", line)
		}
	}
	for kind, list := range families {
		for _, want := range list {
			name, _, _ := strings.Cut("purger_"+want, "{")
			if types[name] != kind || name+labels[name] != "purger_"+want {
				t.Errorf("want the %s purger_%s; there is the %s %s", kind, want, types[name], name+labels[name])
			}
			delete(types, name)
		}
	}
	for name, kind := range types {
		t.Errorf("%s, a %s, is in no list", name, kind)
	}
}

func TestExposition_IsInTheFormatThatIsAskedFor(t *testing.T) {
	d := newDaemon(t, deploytest.BuildPurger(t))
	d.start(t)
	for _, c := range []struct{ accept, contentType, begin, end string }{
		{"", "text/plain; version=0.0.4", "# HELP go_", "\n"},
		{"application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "# HELP go_", "\n# EOF\n"},
		{
			// Native histograms are in this one alone.
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "", "",
		},
	} {
		p, err := fetch("http://"+d.address+"/metrics", c.accept)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.contentType, c.contentType) || !strings.Contains(p.body, "purger_build_info") ||
			!strings.HasPrefix(p.body, c.begin) || !strings.HasSuffix(p.body, c.end) {
			t.Errorf("asked for %q: %s, %d bytes, beginning with %.40q", c.accept, p.contentType, len(p.body), p.body)
		}
	}
}
