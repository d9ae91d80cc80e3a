package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExample_IsTheDefaultAndDocumentsEveryKey(t *testing.T) {
	const path = "../../../deploy/purger.yaml"
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Errorf("it is not the default: %s", diff)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, set, _ := parse(path, text)
	lines := strings.Split(string(text), "\n")
	for _, f := range schema() {
		n := set[f.key]
		if n == nil {
			t.Errorf("%s is not in it", f.key)
			continue
		}
		if above := strings.TrimSpace(lines[n.Line-2]); !strings.HasPrefix(above, "# ") {
			t.Errorf("%s has no comment above it", f.key)
		}
	}
}

// The bounds that the example names are those that hold.
func TestExample_NamesTheBoundsThatHold(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/purger.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, set, _ := parse("", text)
	lines := strings.Split(string(text), "\n")
	comment := func(key string) string {
		var words []string
		for i := set[key].Line - 2; strings.HasPrefix(strings.TrimSpace(lines[i]), "#"); i-- {
			words = append(strings.Fields(strings.TrimLeft(lines[i], " #")), words...)
		}
		return strings.Join(words, " ")
	}
	for _, f := range schema() {
		err := f.read(&Config{}, node(intTag, "-1"))
		m := regexp.MustCompile(`from (\S+) to (\S+)$`).FindStringSubmatch(fmt.Sprint(err))
		if m == nil || m[2] == "2147483647" || strings.Contains(f.key, "gracePeriod") {
			continue // no bounds, or none that anybody meets, or told with the section
		}
		for _, bound := range m[1:] {
			if f.key == "purge.backoff.max" && bound == "1s" {
				bound = "initial"
			}
			if !regexp.MustCompile(`\b` + bound + `\b`).MatchString(comment(f.key)) {
				t.Errorf("%s: %q does not name the bound %s", f.key, comment(f.key), bound)
			}
		}
	}
}
