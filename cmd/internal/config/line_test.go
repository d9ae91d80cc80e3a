package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLine_IsThatOfTheKeyOrOfWhatIsAboveIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "purger.yaml")
	text := `dataDir: /var/lib/purger
targets:
- name: app
  type: postgres
  kinds:
    user:
      table: people
    apiKey: {table: keys,
      tenant: org}
- name: auth
  hosts:
  - a
  - b
source:
  type: rest
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"dataDir": 1, "targets": 2, "targets[0]": 3, "targets[0].kinds.user.table": 7, "targets[0].kinds.user": 6,
		"targets[0].kinds.user.delete": 6, "targets[0].kinds.apiKey.tenant": 9, "targets[0].dsn": 3,
		"targets[1].hosts[1]": 13, "targets[1].hosts[2]": 11, "targets[2].name": 2, "source.every": 14, "source.type": 15, "nothing": 0, "": 0,
	} {
		if got := Line(file, path); got != want {
			t.Errorf("Line(%q) = %d, want %d", path, got, want)
		}
	}
	if got := Line(filepath.Join(t.TempDir(), "none"), "dataDir"); got != 0 {
		t.Errorf("line %d of a file that is not there", got)
	}
}
