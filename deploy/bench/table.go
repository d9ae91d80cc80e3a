package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	what, value string
	number      float64 // value, in unit
	unit        string
	// limit says what should hold; "" is a figure for information.
	limit string
	holds bool
}

// table is what was measured.
type table struct{ rows []row }

// note adds a figure that has no limit.
func (t *table) note(what string, number float64, format, unit string) {
	t.rows = append(t.rows, row{what: what, value: fmt.Sprintf(format+" "+unit, number), number: number, unit: unit})
}

// atLeast and atMost add a figure with a limit.
func (t *table) atLeast(what string, number, limit float64, format, unit string) {
	t.note(what, number, format, unit)
	t.limit("at least "+fmt.Sprintf(format+" "+unit, limit), number >= limit)
}

func (t *table) atMost(what string, number, limit float64, format, unit string) {
	t.note(what, number, format, unit)
	t.limit("at most "+fmt.Sprintf(format+" "+unit, limit), number <= limit)
}

// took adds a duration, and within one with a limit.
func (t *table) took(what string, d time.Duration) {
	t.rows = append(t.rows, row{what: what, value: short(d), number: float64(d.Microseconds()), unit: "us"})
}

func (t *table) within(what string, d, limit time.Duration) {
	t.took(what, d)
	t.limit("at most "+short(limit), d <= limit)
}

// limit says what should hold of the last row.
func (t *table) limit(text string, holds bool) {
	r := &t.rows[len(t.rows)-1]
	r.limit, r.holds = text, holds
}

// print writes the table and returns how many limits do not hold.
func (t *table) print(w io.Writer) (beyond int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHAT\tVALUE\tLIMIT\tHOLDS")
	for _, r := range t.rows {
		holds := ""
		switch {
		case r.limit == "":
		case r.holds:
			holds = "yes"
		default:
			holds = "NO"
			beyond++
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.what, r.value, r.limit, holds)
	}
	_ = tw.Flush() // of a table that nobody reads
	return beyond
}

// short rounds a duration to three digits.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// median returns the middle of some values, which it sorts; 0 of none.
func median[T ~int64 | ~float64](values []T) T { return quantile(values, 0.5) }

// quantile returns the value below which a share of the values lies.
func quantile[T ~int64 | ~float64](values []T, share float64) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(float64(len(values)-1)*share+0.5)]
}

// ratios divides what was measured in the same rounds, since other work comes and
// goes. It wants the values in the order of the rounds, which [median] changes.
func ratios[T ~int64 | ~float64](a, b []T) []float64 {
	of := make([]float64, min(len(a), len(b)))
	for i := range of {
		of[i] = float64(a[i]) / float64(b[i])
	}
	return of
}
