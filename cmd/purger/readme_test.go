package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// A block of README.md between fences. One of language "text" that follows one
// of language "sh" is what its commands print.
type readmeBlock struct {
	line     int
	language string
	// mark is what an HTML comment <!-- test: MARK --> before the block says:
	//
	//	""            run it; it must succeed
	//	"fails N"     run it; it must end with exit code N
	//	"background"  start it, wait for the output, and go on; at the end it is
	//	              interrupted and must succeed
	//	"elsewhere X" it runs this very test, or is run under the name X by the
	//	              tests of deploy/systemd and deploy/packaging under a real
	//	              systemd, and by those of postgrestest with a PostgreSQL: only
	//	              its syntax and the paths in it are checked
	mark string
	text string
}

// TestReadme_EveryCommandWorksAsShown follows README.md from its first line to
// its last in a copy of the repository, with an empty home directory.
func TestReadme_EveryCommandWorksAsShown(t *testing.T) {
	blocks := readmeBlocks(t)
	session := newReadmeSession(t)
	commands := 0
	for i, b := range blocks {
		if b.language != "sh" {
			continue
		}
		commands++
		var want string
		if i+1 < len(blocks) && blocks[i+1].language == "text" {
			want = blocks[i+1].text
		}
		session.follow(t, b, want)
	}
	if commands < 10 {
		t.Errorf("README.md has %d blocks of commands: too few to be all of them", commands)
	}
	session.checkMetrics(t)
	session.stop(t)
}

func TestReadme_ExitCodesAreThoseOfTheCode(t *testing.T) {
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\texit\w+ += (\d+)`).FindAllSubmatch(source, -1) {
		want = append(want, string(m[1]))
	}
	var got []string
	for _, row := range readmeTable(t, "exit code") {
		got = append(got, row[0])
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 5 {
		t.Errorf("exit codes (-exit.go +README.md):\n%s", diff)
	}
}

func TestReadme_ConfigurationTableHoldsEveryKeyWithItsDefault(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "deploy", "purger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(file, &root); err != nil {
		t.Fatal(err)
	}
	want := readmeFlatten("", root.Content[0])
	var got []string
	for _, row := range readmeTable(t, "key") {
		got = append(got, strings.Trim(row[0], "`")+": "+strings.Trim(row[1], "`"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-deploy/purger.yaml +README.md):\n%s", diff)
	}
}

func TestReadme_ListsEveryGuarantee(t *testing.T) {
	var got []string
	for _, row := range readmeTable(t, "guarantee") {
		name, _, _ := strings.Cut(strings.Trim(row[0], "*"), "**")
		got = append(got, name)
	}
	want := []string{"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10", "G11", "G12", "G13"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("guarantees (-want +README.md):\n%s", diff)
	}
}

// TestReadme_SaysWhatCallersOfTheAPICannotSee compares what README.md says in words
// with the code.
func TestReadme_SaysWhatCallersOfTheAPICannotSee(t *testing.T) {
	row := func(heading, first string) string {
		t.Helper()
		for _, row := range readmeTable(t, heading) {
			if strings.HasPrefix(row[0], first) {
				return row[len(row)-1]
			}
		}
		t.Fatalf("README.md: the table %q has no row %q", heading, first)
		return ""
	}
	text := strings.Join(readmeText(t), " ")
	kept := fmt.Sprintf("live %.0f hours", store.ReplayLife.Hours())
	for what, c := range map[string]struct{ in, want string }{
		"where the API is described":    {text, "`" + api.DescriptionPath + "`"},
		"the snippet for nginx":         {text, "`deploy/nginx/purger-gate.conf`"},
		"who a second person is":        {text, "Another person is another actor id"},
		"the exit code of who waits":    {row("exit code", "75"), "waits for a second person"},
		"how long answers are kept":     {row("guarantee", "**G13**"), kept},
		"by which header they are":      {row("guarantee", "**G13**"), "`" + client.HeaderIdempotencyKey + "`"},
		"that it is the command's, too": {text, "a command ends with 75: it waits for a second person"},
	} {
		if !strings.Contains(c.in, c.want) {
			t.Errorf("README.md does not say %s: %q", what, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join("..", "..", "deploy", "nginx", "purger-gate.conf")); err != nil {
		t.Error(err)
	}
}

// readmeBlocks returns the blocks of README.md in their order.
func readmeBlocks(t *testing.T) []readmeBlock {
	t.Helper()
	var blocks []readmeBlock
	var open *readmeBlock
	mark := ""
	for i, line := range readmeText(t) {
		switch {
		case open != nil && line == "```":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open = &readmeBlock{line: i + 1, language: strings.TrimPrefix(line, "```"), mark: mark}
			mark = ""
		case strings.HasPrefix(line, "<!-- test: "):
			mark = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- test: "), " -->")
		}
	}
	if open != nil {
		t.Fatalf("README.md:%d: the block is not closed", open.line)
	}
	return blocks
}

// readmeTable returns the rows of the table whose first column has the heading.
func readmeTable(t *testing.T, heading string) [][]string {
	t.Helper()
	var rows [][]string
	inside := false
	for _, line := range readmeText(t) {
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == heading:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("README.md has no table with the heading %q", heading)
	}
	return rows
}

// readmeText returns the lines of README.md.
func readmeText(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// readmeFlatten returns "key: value" for every scalar and every list below n.
func readmeFlatten(prefix string, n *yaml.Node) []string {
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle != 0 {
		value := n.Value
		if n.Kind != yaml.ScalarNode {
			b, err := yaml.Marshal(n)
			if err != nil {
				panic(err) // it was parsed a moment ago
			}
			value = strings.TrimSpace(string(b))
		}
		if value == "" {
			value = `""`
		}
		return []string{prefix + ": " + value}
	}
	var all []string
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if prefix != "" {
			key = prefix + "." + key
		}
		all = append(all, readmeFlatten(key, n.Content[i+1])...)
	}
	return all
}
