package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

func TestWriteYAML_HoldsWhatTheJSONHolds(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"true", "null", "~", "1e3", "0x1", "2026-01-05", "", " a", "a: b", "- x", "#", "y", "\u0085", "a\nb", "<&>"}))
	rapid.Check(t, func(t *rapid.T) {
		var v any = map[string]any{
			"text": text.Draw(t, "text"),
			"list": []any{text.Draw(t, "item"), nil, rapid.Bool().Draw(t, "bool"), []any{}, map[string]any{}},
			"n":    rapid.Int64().Draw(t, "n"),
			"f":    rapid.Float64Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "f"),
		}
		var b bytes.Buffer
		if err := writeYAML(&b, v); err != nil {
			t.Fatal(err)
		}
		var got any
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		// Both through JSON, where numbers have one type.
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var w, g any
		if err := errors.Join(json.Unmarshal(want, &w), json.Unmarshal(back, &g)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("(-JSON +YAML):\n%s\n%s", diff, b.String())
		}
	})
}

func TestWriteYAML_KeepsTheOrderOfTheMembers(t *testing.T) {
	var b bytes.Buffer
	if err := writeYAML(&b, store.Counts{Users: 3}); err != nil {
		t.Fatal(err)
	}
	if want := "users: 3\ncredentials: 0\napiKeys: 0\noauthClients: 0\nsubTenants: 0\n"; b.String() != want {
		t.Errorf("wrote\n%s; want\n%s", b.String(), want)
	}
}

// sequence yields items, then the error if there is one.
func sequence(n int, err error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

func TestWriteEach_WritesOneDocumentHoweverManyItems(t *testing.T) {
	cells := func(i int) []string { return []string{strings.Repeat("x", i%7)} }
	for _, n := range []int{0, 1, 2, streamRows - 1, streamRows, 2*streamRows + 1} {
		for _, f := range []format{formatJSON, formatYAML, formatTable} {
			var b bytes.Buffer
			if err := writeEach(f, &b, []string{"HEAD"}, sequence(n, nil), cells); err != nil {
				t.Fatal(err)
			}
			var got int
			switch f {
			case formatTable:
				got = strings.Count(b.String(), "\n") - 1
			default: // JSON is YAML
				var list []int
				if err := yaml.Unmarshal(b.Bytes(), &list); err != nil {
					t.Fatal(err)
				}
				got = len(list)
			}
			if got != n {
				t.Errorf("%s of %d items has %d", f, n, got)
			}
		}
	}
}

func TestWriteEach_TellsTheErrorOfTheSequence(t *testing.T) {
	broken := errors.New("broken")
	for _, f := range []format{formatJSON, formatYAML, formatTable} {
		var b bytes.Buffer
		err := writeEach(f, &b, []string{"HEAD"}, sequence(2, broken), func(int) []string { return []string{"x"} })
		if !errors.Is(err, broken) {
			t.Errorf("%s: the error is %v", f, err)
		}
		if b.Len() == 0 || strings.HasSuffix(b.String(), "]\n") {
			t.Errorf("%s: wrote %q; want the beginning and no end", f, b.String())
		}
	}
}

func TestFirstOf_EndsAfterSoMany(t *testing.T) {
	for _, c := range []struct{ n, want int }{{0, 5}, {1, 1}, {4, 4}, {5, 5}, {6, 5}} {
		got := 0
		for _, err := range firstOf(sequence(5, nil), c.n) {
			if err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got != c.want {
			t.Errorf("the first %d of 5 are %d; want %d", c.n, got, c.want)
		}
	}
}

func TestTable_EscapesWhatCouldForgeALine(t *testing.T) {
	var b bytes.Buffer
	err := formatTable.write(&b, nil, func(t *table) {
		t.row("A", "B")
		t.row("a\nroot", "\u202ex")
		t.row("", "b\x1b[2J")
		t.field("name", "c\rd")
		t.field("none", "")
		t.text("%s", "e\x07")
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "A          B\n" +
		`"a\nroot"  "\u202ex"` + "\n" +
		`-          "b\x1b[2J"` + "\n" +
		`name:      "c\rd"` + "\n" +
		`"e\a"` + "\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrintable_LeavesOrdinaryTextAlone(t *testing.T) {
	for _, s := range []string{"", "acme", "Łódź 東京 \"x\" \\", "a b"} {
		if got := printable(s); got != s {
			t.Errorf("printable(%q) = %q", s, got)
		}
	}
	for _, s := range []string{"a\nb", "\x00", "\x7f", "\u0085", "\u2028", "\u2066", "\xff"} {
		if got := printable(s); got == s || strings.ContainsAny(got, "\n\x00\x7f\u0085\u2028\u2066") {
			t.Errorf("printable(%q) = %q", s, got)
		}
	}
}
