package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
)

// tiny is a bench that takes a moment, for its shape and not its figures.
func tiny(t testing.TB) *bench {
	b := newBench(t.TempDir(), true, 1, io.Discard)
	b.sizes = sizes{roots: 20, users: 3_000, lines: 2_000, kept: 20_000, besideRoots: 20, sqlRoots: 5, calls: 200, second: 20 * time.Millisecond}
	return b
}

// TestBench_EveryMeasureMeasures runs everything on small stores: each adds
// figures with limits, and none is without a number.
func TestBench_EveryMeasureMeasures(t *testing.T) {
	b := tiny(t)
	for _, m := range measures() {
		before := len(b.table.rows)
		if err := m.run(b, t.Context()); err != nil {
			if (errors.Is(err, errStaysCached) || errors.Is(err, exec.ErrNotFound) || errors.Is(err, pgtest.ErrMissing)) && os.Getenv("CI") == "" {
				t.Skipf("%s: %v; set TMPDIR to a disk, and install wrk and postgresql", m.name, err)
			}
			t.Errorf("%s: %v", m.name, err)
		}
		limits := 0
		for _, r := range b.table.rows[before:] {
			if !strings.HasPrefix(r.what, m.name+": ") {
				t.Errorf("%s: row %q is not named after it", m.name, r.what)
			}
			if r.number <= 0 || math.IsInf(r.number, 0) || math.IsNaN(r.number) {
				t.Errorf("%s is %v %s", r.what, r.number, r.unit)
			}
			if r.limit != "" {
				limits++
			}
		}
		if limits == 0 {
			t.Errorf("%s: no limit was looked at", m.name)
		}
	}
}

func TestTable_TellsWhatIsBeyondItsLimit(t *testing.T) {
	var tab table
	tab.atLeast("a", 0.7, 0.7, "%.2f", "x")
	tab.atLeast("b", 0.69, 0.7, "%.2f", "x")
	tab.atMost("c", 4, 4, "%.0f", "MiB")
	tab.atMost("d", 5, 4, "%.0f", "MiB")
	tab.within("e", time.Second, time.Second)
	tab.within("f", time.Second+1, time.Second)
	tab.note("g", 1, "%.0f", "/s")
	var out bytes.Buffer
	if got := tab.print(&out); got != 3 {
		t.Errorf("%d are beyond their limits, want b, d and f:\n%s", got, out.String())
	}
	want := `WHAT  VALUE   LIMIT            HOLDS
a     0.70 x  at least 0.70 x  yes
b     0.69 x  at least 0.70 x  NO
c     4 MiB   at most 4 MiB    yes
d     5 MiB   at most 4 MiB    NO
e     1s      at most 1s       yes
f     1s      at most 1s       NO
g     1 /s                     
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRun_RefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"-only", "forest,speed"}, {"-rounds", "-1"}, {"forest"}, {"-size", "9"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &stderr); code != exitFailed || stderr.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

func TestAll_SaysWhatIsLeftOutWithoutPostgreSQL(t *testing.T) {
	without := []measure{
		{"sql", func(*bench, context.Context) error { return fmt.Errorf("start: %w", pgtest.ErrMissing) }},
		{"other", func(b *bench, _ context.Context) error { b.table.note("other: a", 1, "%.0f", "/s"); return nil }},
	}
	var out bytes.Buffer
	if _, err := tiny(t).all(t.Context(), without, false, &out); err != nil {
		t.Errorf("not named: %v", err)
	}
	if text := out.String(); !strings.Contains(text, "Left out: sql: start: no PostgreSQL here") || !strings.Contains(text, "other: a") {
		t.Errorf("printed\n%s\nwant a line for sql, and a figure for other", text)
	}
	if _, err := tiny(t).all(t.Context(), without, true, io.Discard); !errors.Is(err, pgtest.ErrMissing) {
		t.Errorf("named: %v; want an error", err)
	}
	failing := []measure{{"sql", func(*bench, context.Context) error { return io.ErrUnexpectedEOF }}}
	if _, err := tiny(t).all(t.Context(), failing, false, io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("another error: %v; want it", err)
	}
}

func TestRatios_AreOfTheSameRounds(t *testing.T) {
	got := ratios([]time.Duration{2, 9, 4}, []time.Duration{1, 3})
	if !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("ratios are %v, want those of the rounds that both have", got)
	}
}

// TestTenants_AreThoseOfTheInput is for what is put into a database.
func TestTenants_AreThoseOfTheInput(t *testing.T) {
	l := tenantsOf(2)
	text, err := io.ReadAll(l)
	if err != nil {
		t.Fatal(err)
	}
	tenants := l.tenants()
	if int64(len(tenants)) != l.all() {
		t.Errorf("%d tenants, %d lines", len(tenants), l.all())
	}
	for _, id := range tenants {
		if n := strings.Count(string(text), fmt.Sprintf(`"id":%q`, id)); n != 1 {
			t.Errorf("tenant %s is in %d lines", id, n)
		}
	}
}

func TestQuantile_IsThatOfTheSortedValues(t *testing.T) {
	values := []int64{5, 1, 4, 2, 3}
	for share, want := range map[float64]int64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v is %d, want %d", share, got, want)
		}
	}
	if quantile([]int64{}, 0.5) != 0 {
		t.Error("the quantile of nothing is not 0")
	}
}

// BenchmarkMeasures makes each measure once an iteration, on the stores of -short.
func BenchmarkMeasures(b *testing.B) {
	for _, m := range measures() {
		b.Run(m.name, func(b *testing.B) {
			run := newBench(b.TempDir(), true, max(b.N, 3), io.Discard)
			if err := m.run(run, b.Context()); err != nil {
				b.Fatal(err)
			}
			for _, r := range run.table.rows {
				_, what, _ := strings.Cut(r.what, ": ")
				b.ReportMetric(r.number, strings.ReplaceAll(what+" "+r.unit, " ", "-"))
			}
		})
	}
}
