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
	rules, readme := read("purger.rules.yaml"), read("../../README.md")
	units := read("purger.rules.test.yaml") + read("purger.rules.days.test.yaml")
	named := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	if len(named) < 8 {
		t.Fatalf("%d alerts: too few to be all of them", len(named))
	}
	for _, m := range named {
		name := m[1]
		// Just before it fires, when it does, and when it has ended.
		quiet := regexp.MustCompile(`(?m)^ +- \{eval_time: \w+, alertname: ` + name + `\}$`)
		fires := regexp.MustCompile(`(?m)^ +alertname: ` + name + "\n +exp_alerts:$")
		silent, loud := quiet.FindAllStringIndex(units, -1), fires.FindStringIndex(units)
		if len(silent) < 2 || loud == nil || silent[0][0] > loud[0] || silent[len(silent)-1][0] < loud[0] {
			t.Errorf("%s: want a test of the instant before it fires, of when it does, and of its end", name)
		}
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("%s is not in README", name)
		}
	}
	if strings.Contains(rules, "_bucket") {
		t.Error("a rule asks for a classic histogram, which a Prometheus with native histograms does not have")
	}
}
