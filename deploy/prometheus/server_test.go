//go:build long

package prometheus_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// interval is how often the servers scrape and evaluate.
const interval = 500 * time.Millisecond

// server is a Prometheus that has the configuration and the rules of this
// folder, but for the intervals, the addresses and how long an alert waits.
type server struct {
	name, address string
	began         time.Time
	process       *deploytest.Process
}

// startServer starts a Prometheus that scrapes the addresses.
func startServer(t *testing.T, name string, addresses []string, flags ...string) *server {
	t.Helper()
	binary := deploytest.Program(t, "prometheus")
	dir := t.TempDir()
	config := deploytest.Rewrite(t, "prometheus.yaml", dir, map[string]string{
		`(scrape_interval|evaluation_interval): 30s`: fmt.Sprintf("$1: %dms", interval.Milliseconds()),
		`targets: .*`: fmt.Sprintf("targets: [%s]", strings.Join(addresses, ", ")),
	})
	deploytest.Rewrite(t, "purger.rules.yaml", dir, map[string]string{`(?m)^( +for): \S+$`: "$1: 1s"})
	s := &server{name: name, address: deploytest.FreeAddress(t), began: time.Now()}
	s.process = deploytest.Start(t, t, binary, append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + s.address, "--log.level=warn",
	}, flags...)...)
	deploytest.Eventually(t, 50*time.Millisecond, func() string {
		if s.process.Exited() {
			t.Fatalf("prometheus has ended:\n%s", s.process.Log())
		}
		if _, err := fetch("http://"+s.address+"/-/ready", ""); err != nil {
			return fmt.Sprintf("prometheus is not ready: %v\n%s", err, s.process.Log())
		}
		return ""
	})
	return s
}

// ask calls the API and decodes the data of the answer.
func (s *server) ask(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	p, err := fetch("http://"+s.address+"/api/v1/"+path+"?"+query.Encode(), "")
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	answer := struct{ Data any }{data}
	if err := json.Unmarshal([]byte(p.body), &answer); err != nil {
		t.Fatalf("%s: %v\n%s", s.name, err, p.body)
	}
}

// rule is an alert rule and what it has to say.
type rule struct {
	Name, Query, Health, LastError string
	LastEvaluation                 time.Time
	Labels, Annotations            map[string]string
}

// rules returns every rule of every group.
func (s *server) rules(t *testing.T) []rule {
	t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	s.ask(t, "rules", nil, &data)
	var all []rule
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// settle waits until every rule was evaluated after every target was scraped
// from now on.
func (s *server) settle(t *testing.T) {
	t.Helper()
	asked, scraped := time.Now(), time.Time{}
	deploytest.Eventually(t, interval/2, func() string {
		var data struct {
			ActiveTargets []struct{ LastScrape time.Time }
		}
		s.ask(t, "targets", nil, &data)
		for _, target := range data.ActiveTargets {
			if target.LastScrape.Before(asked) {
				return s.name + " does not scrape"
			}
		}
		if scraped.IsZero() {
			scraped = time.Now()
		}
		for _, r := range s.rules(t) {
			if r.Health != "ok" || r.LastEvaluation.Before(scraped) {
				return fmt.Sprintf("%s: the rule %s is %s: %s", s.name, r.Name, r.Health, r.LastError)
			}
		}
		return ""
	})
}

// alert is an alert that is pending or firing.
type alert struct {
	State               string
	Labels, Annotations map[string]string
}

// String returns "NAME{labels} summary", without the labels job and instance.
func (a alert) String() string {
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if k != "alertname" && k != "job" && k != "instance" {
			labels = append(labels, k+"="+a.Labels[k])
		}
	}
	return fmt.Sprintf("%s{%s} %s", a.Labels["alertname"], strings.Join(labels, ","), a.Annotations["summary"])
}

// alerts returns the alerts of an instance, sorted.
func (s *server) alerts(t *testing.T, instance string) []alert {
	t.Helper()
	var data struct{ Alerts []alert }
	s.ask(t, "alerts", nil, &data)
	of := slices.DeleteFunc(data.Alerts, func(a alert) bool { return a.Labels["instance"] != instance })
	slices.SortFunc(of, func(a, b alert) int { return strings.Compare(a.String(), b.String()) })
	return of
}

// series is one series of an answer: its samples, or for a native histogram only
// how many there are.
type series struct {
	Metric     map[string]string
	Value      []any
	Values     [][]any
	Histogram  []any
	Histograms [][]any
}

// numbers returns the samples that are numbers.
func (s series) numbers() []float64 {
	var list []float64
	for _, v := range append(slices.Clone(s.Values), s.Value) {
		if len(v) != 2 {
			continue
		}
		text, _ := v[1].(string)
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
			list = append(list, f)
		}
	}
	return list
}

// query evaluates an expression now.
func (s *server) query(t *testing.T, expr string) []series {
	t.Helper()
	var data struct{ Result []series }
	s.ask(t, "query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// queryRange evaluates an expression for the whole time of the server.
func (s *server) queryRange(t *testing.T, expr string) []series {
	t.Helper()
	var data struct{ Result []series }
	s.ask(t, "query_range", url.Values{
		"query": {expr}, "start": {s.began.Format(time.RFC3339)}, "end": {time.Now().Format(time.RFC3339)}, "step": {"1s"},
	}, &data)
	return data.Result
}

// instances returns the instances that have a sample of a metric now.
func (s *server) instances(t *testing.T, metric string) []string {
	t.Helper()
	var list []string
	for _, r := range s.query(t, "count by (instance) ("+metric+")") {
		list = append(list, r.Metric["instance"])
	}
	slices.Sort(list)
	return list
}
