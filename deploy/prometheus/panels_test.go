//go:build long

package prometheus_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dashboard runs every query of the dashboard as Grafana does.
func (s *scene) dashboard(t *testing.T) {
	_, d := readDashboard(t)
	for _, srv := range s.servers {
		t.Run(srv.name, func(t *testing.T) {
			srv.settle(t)
			chosen := choice{"$__rate_interval": "15s"}
			for _, v := range d.Templating.List {
				if v.Type != "query" {
					continue
				}
				want := []string{"purger"}
				if v.Name == "instance" {
					want = s.instances()
				}
				if diff := cmp.Diff(want, chosen.all(t, srv, v)); diff != "" {
					t.Errorf("the variable %s offers (-want +got):\n%s", v.Name, diff)
				}
			}
			queries := 0
			for _, p := range d.Panels {
				for _, q := range p.Targets {
					queries++
					chosen.run(t, srv, p.Title+" "+q.RefID, q.Expr, q.Instant)
				}
			}
			for _, a := range d.Annotations.List {
				if a.BuiltIn == 0 {
					queries++
					chosen.run(t, srv, a.Name, a.Expr, false)
				}
			}
			if queries < 50 {
				t.Errorf("%d queries: too few to be all of them", queries)
			}
		})
	}
}

// choice has what stands for each variable of the dashboard.
type choice map[string]string

// fill puts the values in the place of the variables.
func (c choice) fill(text string) string {
	for name, value := range c {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// all chooses all values of a variable, and returns them, sorted.
func (c choice) all(t *testing.T, srv *server, v variable) []string {
	t.Helper()
	var query struct{ Query string }
	if err := json.Unmarshal(v.Query, &query); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(query.Query)
	if m == nil {
		t.Fatalf("the variable %s asks for %q; want label_values(SERIES, LABEL)", v.Name, query.Query)
	}
	var values []string
	srv.ask(t, "label/"+m[2]+"/values", url.Values{"match[]": {c.fill(m[1])}}, &values)
	slices.Sort(values)
	var quoted []string
	for _, value := range values {
		quoted = append(quoted, strings.ReplaceAll(regexp.QuoteMeta(value), `\`, `\\`))
	}
	c["$"+v.Name] = "(" + strings.Join(quoted, "|") + ")"
	return values
}

// run runs a query and complains when it has no number to show.
func (c choice) run(t *testing.T, srv *server, name, expr string, instant bool) {
	t.Helper()
	expr = c.fill(expr)
	if strings.Contains(expr, "$") {
		t.Errorf("%s: nothing stands for a variable in %s", name, expr)
		return
	}
	found := srv.queryRange
	if instant {
		found = srv.query
	}
	for _, s := range found(t, expr) {
		if len(s.numbers()) > 0 {
			return
		}
	}
	t.Errorf("%s: there is no data for %s", name, expr)
}
