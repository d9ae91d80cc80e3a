package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeMan runs "purger man" and returns the pages by name.
func writeMan(t *testing.T) map[string]string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1704164645")
	dir := t.TempDir()
	var stderr bytes.Buffer
	args := []string{"--config", filepath.Join("..", "..", "deploy", "purger.yaml"), "man", dir}
	if code := run(t.Context(), nil, args, strings.NewReader(""), io.Discard, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(f)] = string(text)
	}
	return pages
}

func TestMan_EveryCommandHasAPageWithAllOfItsFlags(t *testing.T) {
	pages := writeMan(t)
	want := []string{"purger.yaml.5"}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		want = append(want, name)
		mention := func(f *pflag.Flag) {
			if !strings.Contains(pages[name], `\fB`+roffEscape("--"+f.Name)+`\fR`) {
				t.Errorf("%s says nothing about --%s", name, f.Name)
			}
		}
		cmd.LocalFlags().VisitAll(mention)
		cmd.InheritedFlags().VisitAll(mention)
		for _, c := range cmd.Commands() {
			if c.Name() != "man" {
				visit(c)
				if !strings.Contains(pages[name], roffBold(strings.TrimSuffix(strings.ReplaceAll(c.CommandPath(), " ", "-"), ".1"))) {
					t.Errorf("%s says nothing about the command %s", name, c.Name())
				}
			}
		}
	}
	visit(newRoot(&app{}))
	var got []string
	for name := range pages {
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func TestMan_ConfigurationPageHasEveryKeyWithItsText(t *testing.T) {
	page := writeMan(t)["purger.yaml.5"]
	for _, row := range []string{
		".TP\n\\fBdataDir:\\fR ./purger\\-data\nThe directory of the store",
		".TP\n\\fBtenants.gracePeriod\\fR\nDays from",
		".TP\n\\fBtenants.protected:\\fR []\nIds of tenants",
		".TP\n\\fBpurge.schedule:\\fR \"*/5 * * * *\"\nWhen a pass begins",
		".TP\n\\fBstore.importTempDir:\\fR \"\"\nThe directory where",
		"\\fBpurger resume \\-\\-allow N \\-\\-reason ...\\fR",
		".TH \"PURGER.YAML\" 5 2024-01-02 ",
	} {
		if !strings.Contains(page, row) {
			t.Errorf("%q is not in it:\n%s", row, page)
		}
	}
	if keys, texts := strings.Count(page, ".TP\n"), strings.Count(page, ".TP\n\\fB"); keys < 30 || keys != texts {
		t.Errorf("%d items, %d of them keys; want at least 30, all of them keys", keys, texts)
	}
}

func TestMan_NoTextIsReadAsRequestsOrEscapes(t *testing.T) {
	r := &roff{}
	r.prose(".so /etc/passwd\n'quoted' \\fBback\\\\ a-b ^~\n\n  .indented\n  `kept`\n\nthe `code\nhere` is bold")
	r.macro("SH", `a "b"`)
	want := `\&.so /etc/passwd
\(aqquoted\(aq \efBback\e\e a\-b \(ha\(ti
.PP
.EX
\&.indented
\(gakept\(ga
.EE
.PP
the \fBcode
here\fR is bold
.SH "a \(dqb\(dq"
`
	if diff := cmp.Diff(want, r.String()); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
}

func TestMan_RefusesADateThatIsNone(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	var stderr bytes.Buffer
	if code := run(t.Context(), nil, []string{"man", t.TempDir()}, strings.NewReader(""), io.Discard, &stderr); code != exitUsage {
		t.Errorf("exit code %d, want %d: %s", code, exitUsage, stderr.String())
	}
}

// TestMan_RendersWithoutWarnings lets a program read the pages that knows man(7).
func TestMan_RendersWithoutWarnings(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mandoc is missing: %v", err)
		}
		t.Skip("mandoc is missing")
	}
	for name, page := range writeMan(t) {
		cmd := exec.CommandContext(t.Context(), "mandoc", "-T", "lint", "-W", "warning")
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
