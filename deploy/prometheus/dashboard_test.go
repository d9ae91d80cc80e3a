package prometheus_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dashboard is the part of Grafana's model that is looked at.
type dashboard struct {
	ID            *int
	UID, Title    string
	Refresh       string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
	Annotations   struct{ List []annotation }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               *source
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []target
	Panels                   []panel // of a row that is folded
	Links                    []struct{ Title, URL string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type source struct{ Type, UID string }

type target struct {
	Datasource *source
	RefID      string
	Expr       string
	Instant    bool
}

type variable struct {
	Name, Type string
	AllValue   *string
	Datasource *source
	Query      json.RawMessage
}

type annotation struct {
	Name       string
	BuiltIn    int
	Datasource *source
	Expr       string
}

// readDashboard reads the dashboard as Grafana gets it.
func readDashboard(t *testing.T) ([]byte, dashboard) {
	t.Helper()
	text, err := os.ReadFile("../grafana/purger.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return text, d
}

func TestDashboard_FitsEveryGrafana(t *testing.T) {
	text, d := readDashboard(t)
	if d.UID != "purger" || d.ID != nil || d.Title == "" || d.SchemaVersion < 36 || d.Refresh != "1m" {
		t.Errorf("uid %q, id %v, title %q, schemaVersion %d, refresh %q", d.UID, d.ID, d.Title, d.SchemaVersion, d.Refresh)
	}
	const chosen = "${datasource}"
	check := func(where string, s *source) {
		if s == nil || s.Type != "prometheus" || s.UID != chosen {
			t.Errorf("%s has the data source %v; want %s", where, s, chosen)
		}
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		check(p.Title, p.Datasource)
		for _, q := range p.Targets {
			check(p.Title+" "+q.RefID, q.Datasource)
		}
	}
	for _, a := range d.Annotations.List {
		if a.BuiltIn == 0 {
			check(a.Name, a.Datasource)
		}
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" {
			check(v.Name, v.Datasource)
			// Whatever else is scraped is not a purger.
			if v.AllValue != nil || !strings.Contains(string(v.Query), "label_values(purger_build_info") {
				t.Errorf("%s asks %s, and all is %v; want the values that purger_build_info has, and no more", v.Name, v.Query, v.AllValue)
			}
		}
	}
	if diff := cmp.Diff([]string{"datasource", "job", "instance"}, names); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}

	// Formatted as this, an edit changes no line but its own.
	var all any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	var formatted bytes.Buffer
	e := json.NewEncoder(&formatted)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, formatted.Bytes()) {
		t.Error("purger.json is not formatted with sorted keys and two spaces, as by jq --sort-keys")
	}
}

func TestDashboard_EveryPanelIsInItsPlaceAndSaysWhatItShows(t *testing.T) {
	_, d := readDashboard(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	cells := map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID < 1 || ids[p.ID] || p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d %q: want an id and a title of its own", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s is outside the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s overlaps %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			if len(p.Panels) > 0 {
				t.Errorf("the row %s is folded, and its panels are not looked at", p.Title)
			}
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: want a description, a unit and a query", p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.RefID == "" || refs[q.RefID] {
				t.Errorf("%s: the query %q has no name of its own", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			if !everySelectorIsChosen(q.Expr) {
				t.Errorf("%s: not all of %s heeds job and instance", p.Title, q.Expr)
			}
		}
	}
	for _, a := range d.Annotations.List {
		if a.BuiltIn == 0 && !everySelectorIsChosen(a.Expr) {
			t.Errorf("annotation %s: not all of %s heeds job and instance", a.Name, a.Expr)
		}
	}
}

// everySelectorIsChosen reports whether all series of an expression are selected
// by the variables job and instance, and there are some.
func everySelectorIsChosen(expr string) bool {
	series := regexp.MustCompile(`\b(up|ALERTS|(purger|go|process)_\w+)\b(\{[^}]*\})?`).FindAllString(expr, -1)
	for _, s := range series {
		if !strings.Contains(s, `{job=~"$job", instance=~"$instance"`) {
			return false
		}
	}
	return len(series) > 0
}

// Whoever gets an alert finds it in the dashboard, and back.
func TestDashboard_PanelsAndAlertsNameEachOther(t *testing.T) {
	_, d := readDashboard(t)
	rules, err := os.ReadFile("purger.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		shown[m[1]] = false
	}
	for _, p := range d.Panels {
		named := regexp.MustCompile(`Alert: (\w+)\.`).FindStringSubmatch(p.Description)
		if (len(named) > 0) != (len(p.Links) > 0) {
			t.Errorf("%s: the description names the alerts %v, and there are %d links", p.Title, named, len(p.Links))
			continue
		}
		for _, l := range p.Links {
			name := named[1]
			if _, ok := shown[name]; !ok {
				t.Errorf("%s: there is no alert %s", p.Title, name)
			}
			if !strings.Contains(l.Title, name) || !strings.HasSuffix(l.URL, "="+name) {
				t.Errorf("%s: the link %q to %s is not that of %s", p.Title, l.Title, l.URL, name)
			}
			shown[name] = true
		}
	}
	for name, found := range shown {
		if !found {
			t.Errorf("no panel shows what %s is about", name)
		}
	}
}
