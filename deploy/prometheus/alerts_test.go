//go:build long

// The alert rules and the dashboard, with real parts: a Prometheus as it is
// packaged scrapes daemons as they are built, with the configuration and the
// rules of this folder, and every condition is brought about.
package prometheus_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// scene is everything that runs: a daemon for each condition, a program with
// targets, and a Prometheus of either kind.
type scene struct {
	conditions map[string]condition
	leftOut    []string // alerts that no condition can raise here
	daemons    map[string]*daemon
	program    *program
	servers    []*server
}

func TestPrometheus_AlertsAndDashboardHoldForTheRealDaemon(t *testing.T) {
	s := newScene(t)
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"the two kinds of Prometheus keep different histograms", s.kinds},
		{"every rule is evaluated and names metrics that exist", s.named},
		{"a daemon that is well raises no alert", func(t *testing.T) { s.expect(t, func(condition) []string { return nil }, nil) }},
		{"each condition raises its alerts and no others", s.befall},
		{"each alert ends with its condition", s.cure},
		{"every query of the dashboard returns data", s.dashboard},
	} {
		if !t.Run(step.name, step.do) {
			break // the next steps begin where this one should have ended
		}
	}
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{conditions: conditions(), daemons: map[string]*daemon{}, program: newProgram(t)}
	// The second look at an empty list comes five minutes after the first: the rule is
	// tested by promtool alone.
	s.leftOut = []string{`PurgerUnaccounted\{`}
	if os.Geteuid() != 0 {
		const what = "a full disk"
		if os.Getenv("CI") != "" {
			t.Fatal(what + ": this needs root")
		}
		t.Logf("%s is left out: it needs root", what)
		s.leftOut = append(s.leftOut, s.conditions[what].alerts...)
		delete(s.conditions, what)
	}
	binary := deploytest.BuildPurger(t)
	addresses := []string{s.program.address}
	example, err := os.ReadFile("../example/tenants.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.conditions {
		d := newDaemon(t, binary)
		s.daemons[name] = d
		addresses = append(addresses, d.address)
		d.purger(t, string(example), "import", "-")
		d.start(t) // and purge what is due
	}
	s.servers = []*server{
		startServer(t, "classic", addresses),
		startServer(t, "native", addresses, "--enable-feature=native-histograms"),
	}
	return s
}

// instances returns the addresses of all that is scraped, sorted.
func (s *scene) instances() []string {
	list := []string{s.program.address}
	for _, d := range s.daemons {
		list = append(list, d.address)
	}
	slices.Sort(list)
	return list
}

func (s *scene) kinds(t *testing.T) {
	for _, srv := range s.servers {
		// Of a classic histogram there is a series for each bucket, of a native one
		// a single one under the bare name.
		want, none := "purger_run_duration_seconds_bucket", "purger_run_duration_seconds"
		if srv.name == "native" {
			want, none = none, want
		}
		deploytest.Eventually(t, interval, func() string {
			return cmp.Diff(s.instances(), srv.instances(t, want))
		})
		if got := srv.instances(t, none); len(got) > 0 {
			t.Errorf("%s: %s is kept for %q", srv.name, none, got)
		}
	}
}

func (s *scene) named(t *testing.T) {
	metric := regexp.MustCompile(`\b(up|purger_\w+)\b`)
	for _, srv := range s.servers {
		rules := srv.rules(t)
		if len(rules) < 10 {
			t.Errorf("%s: %d rules", srv.name, len(rules))
		}
		for _, r := range rules {
			names := metric.FindAllString(r.Query, -1)
			if len(names) == 0 {
				t.Errorf("%s: %s asks for no metric: %s", srv.name, r.Name, r.Query)
			}
			for _, name := range names {
				want := s.instances()
				if name == "purger_target_up" { // as yet no daemon has targets
					want = []string{s.program.address}
				}
				if diff := cmp.Diff(want, srv.instances(t, name)); diff != "" {
					t.Errorf("%s: %s asks for %s (-want +the instances that have it):\n%s", srv.name, r.Name, name, diff)
				}
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks severity, summary or description", r.Name)
			}
			for _, found := range srv.query(t, r.Query) {
				t.Errorf("%s: %s is true of a daemon that is well: %v", srv.name, r.Name, found.Metric)
			}
		}
	}
}

func (s *scene) befall(t *testing.T) {
	s.each(t, func(t *testing.T, c condition, d *daemon) { c.cause(t, d) })
	s.program.directory.be(true, false)
	s.program.leave(t, "acme")
	s.program.pass(t) // the directory does not answer
	s.program.directory.be(false, false)
	s.program.crm.be(false, true)
	s.program.leave(t, "globex")
	s.program.pass(t) // the CRM says that it has deleted, and has not
	s.expect(t, func(c condition) []string { return c.alerts }, leftovers)

	raised := slices.Concat(leftovers, s.leftOut)
	for _, c := range s.conditions {
		raised = append(raised, c.alerts...)
	}
	for _, r := range s.servers[0].rules(t) {
		if !slices.ContainsFunc(raised, func(pattern string) bool { return strings.HasPrefix(pattern, r.Name+`\{`) }) {
			t.Errorf("no condition raises %s", r.Name)
		}
	}
}

func (s *scene) cure(t *testing.T) {
	s.each(t, func(t *testing.T, c condition, d *daemon) { c.cure(t, d) })
	s.program.crm.be(false, false)
	s.program.finish(t, "acme")
	s.program.finish(t, "globex")
	s.expect(t, func(condition) []string { return nil }, leftovers)
}

// each does something with all daemons, some at a time.
func (s *scene) each(t *testing.T, do func(*testing.T, condition, *daemon)) {
	t.Run("daemon", func(t *testing.T) {
		for name, d := range s.daemons {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				do(t, s.conditions[name], d)
			})
		}
	})
	if t.Failed() {
		t.FailNow() // what follows would only wait
	}
}

// leftovers is what fires for the program for an hour once a target has been
// caught.
var leftovers = []string{`PurgerLeftovers\{severity=warning,target=crm\} Target crm still held resources after it had reported their deletion\.`}

// expect waits until the alerts of each daemon, and of the program, are the
// wanted ones.
func (s *scene) expect(t *testing.T, daemon func(condition) []string, program []string) {
	t.Helper()
	for _, srv := range s.servers {
		srv.settle(t)
		for name, d := range s.daemons {
			srv.expect(t, name, d.address, daemon(s.conditions[name]))
		}
		srv.expect(t, "the program", s.program.address, program)
	}
}

// expect waits until the alerts of an instance are the wanted ones, all firing,
// and looks at their texts.
func (s *server) expect(t *testing.T, name, instance string, want []string) {
	t.Helper()
	var got []alert
	deploytest.Eventually(t, interval, func() string {
		got = s.alerts(t, instance)
		fine := len(got) == len(want)
		for i := 0; fine && i < len(got); i++ {
			fine = got[i].State == "firing" && regexp.MustCompile("^"+want[i]+"$").MatchString(got[i].String())
		}
		if fine {
			return ""
		}
		return fmt.Sprintf("%s, %s: the alerts are\n%s\nwant, all firing,\n%s", s.name, name, list(got), list(want))
	})
	for _, a := range got {
		if a.Labels["job"] != "purger" {
			t.Errorf("%s: %s has the labels %v", s.name, a.Labels["alertname"], a.Labels)
		}
		for key, text := range a.Annotations {
			if strings.ContainsAny(text, "<>{}") || strings.Contains(text, "%!") {
				t.Errorf("%s: the %s of %s is %q", s.name, key, a.Labels["alertname"], text)
			}
		}
	}
}

// list prints a value on each line.
func list[T any](values []T) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "\t%v\n", v)
	}
	return b.String()
}
