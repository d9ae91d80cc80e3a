package prometheus_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The alerts that README promises, and whoever edits the rules with them.
func TestRules_EveryAlertIsTestedAndDocumented(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rules, units, readme := read("purger.rules.yaml"), read("purger.rules.test.yaml"), read("../../README.md")
	named := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	if len(named) < 8 {
		t.Fatalf("%d alerts: too few to be all of them", len(named))
	}
	for _, m := range named {
		name := m[1]
		// Once just before it fires, once when it does.
		quiet := regexp.MustCompile(`(?m)^ +- \{eval_time: \w+, alertname: ` + name + `\}$`)
		fires := regexp.MustCompile(`(?m)^ +alertname: ` + name + "\n +exp_alerts:$")
		if !quiet.MatchString(units) || !fires.MatchString(units) {
			t.Errorf("%s: want a test of the instant before it fires, and one of when it does", name)
		}
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("%s is not in README", name)
		}
	}
	if strings.Contains(rules, "_bucket") {
		t.Error("a rule asks for a classic histogram, which a Prometheus with native histograms does not have")
	}
}
