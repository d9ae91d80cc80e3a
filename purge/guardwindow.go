package purge

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Window is when a target may be purged. The zero Window is always open. It is
// not changed once made.
//
// Its text is a list of spans, separated by commas: "22:00-05:00 UTC",
// "Mon-Fri 01:00-04:00 Europe/Berlin, Sat,Sun 00:00-24:00 Europe/Berlin". A span
// has the days on which it begins, every day without them, two times of the day,
// the second excluded, and a zone by its name in the time zone database, UTC
// without one. A span whose second time is not after the first ends on the day
// after.
//
// Spans follow the clock on the wall: when a zone skips an hour it is missing in
// the span, and when it repeats one the span has it twice.
type Window struct {
	text  string
	spans []span
}

// span is one span of a window; from and to are since midnight on the wall.
type span struct {
	days     [7]bool // by time.Weekday
	from, to time.Duration
	zone     *time.Location
}

const wholeDay = 24 * time.Hour

// ParseWindow returns the window that s describes; "" is always open. Errors:
// Invalid.
func ParseWindow(s string) (Window, error) {
	w := Window{text: strings.TrimSpace(s)}
	if w.text == "" {
		return Window{}, nil
	}
	days := ""
	for part := range strings.SplitSeq(w.text, ",") {
		part = strings.TrimSpace(part)
		// A comma also separates days: such a part belongs to the next one.
		if _, err := parseDays(part); err == nil {
			days += part + ","
			continue
		}
		sp, err := parseSpan(days + part)
		if err != nil {
			return Window{}, store.Errorf(store.Invalid,
				"window %q: %w; want spans such as \"22:00-05:00 UTC\" or \"Sat,Sun 00:00-24:00 Europe/Berlin\", separated by commas", s, err)
		}
		w.spans, days = append(w.spans, sp), ""
	}
	if days != "" {
		return Window{}, store.Errorf(store.Invalid, "window %q: %q has no times", s, strings.TrimSuffix(days, ","))
	}
	return w, nil
}

// String returns the text from which the window was made.
func (w Window) String() string { return w.text }

// Open reports whether the window is open at t.
func (w Window) Open(t time.Time) bool {
	for _, sp := range w.spans {
		if sp.open(t) {
			return true
		}
	}
	return len(w.spans) == 0
}

// Next returns t when the window is open then, else the first instant after it
// at which it is.
func (w Window) Next(t time.Time) time.Time {
	if w.Open(t) {
		return t
	}
	var first time.Time
	for _, sp := range w.spans {
		if at := sp.next(t); first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// onWall returns the day and the time of the day that clocks in the zone show.
func (sp span) onWall(t time.Time) (time.Weekday, time.Duration) {
	t = t.In(sp.zone)
	h, m, s := t.Clock()
	return t.Weekday(), time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}

func (sp span) open(t time.Time) bool {
	day, at := sp.onWall(t)
	if sp.from < sp.to {
		return sp.days[day] && sp.from <= at && at < sp.to
	}
	before := (day + 6) % 7
	return sp.days[day] && sp.from <= at || sp.days[before] && at < sp.to
}

// next returns the first instant from t on at which the span is open; zero when
// there is none in the next two months.
func (sp span) next(t time.Time) time.Time {
	for range 64 {
		if sp.open(t) {
			return t
		}
		// Clocks run evenly up to where the zone's offset changes.
		_, at := sp.onWall(t)
		wait := sp.from - at
		if wait <= 0 {
			wait += wholeDay
		}
		next := t.Add(wait)
		if _, change := t.In(sp.zone).ZoneBounds(); !change.IsZero() && change.Before(next) {
			next = change
		}
		t = next
	}
	return time.Time{}
}

// parseSpan reads "[DAYS ]FROM-TO[ ZONE]".
func parseSpan(s string) (span, error) {
	sp := span{zone: time.UTC, days: [7]bool{true, true, true, true, true, true, true}}
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return sp, fmt.Errorf("an empty span")
	}
	if days, err := parseDays(fields[0]); err == nil {
		sp.days, fields = days, fields[1:]
	}
	if len(fields) == 0 || len(fields) > 2 {
		return sp, fmt.Errorf("%q is not a span", s)
	}
	from, to, ok := strings.Cut(fields[0], "-")
	var err error
	if !ok {
		return sp, fmt.Errorf("%q is neither days nor two times", fields[0])
	}
	if sp.from, err = parseClock(from); err != nil {
		return sp, err
	}
	if sp.to, err = parseClock(to); err != nil {
		return sp, err
	}
	if sp.from == sp.to || sp.from == wholeDay {
		return sp, fmt.Errorf("%q is empty (a whole day is 00:00-24:00)", fields[0])
	}
	if len(fields) == 2 {
		// "Local" would be another window on every machine.
		if sp.zone, err = time.LoadLocation(fields[1]); err != nil || fields[1] == "Local" {
			return sp, fmt.Errorf("%q is no zone of the time zone database", fields[1])
		}
	}
	return sp, nil
}

// parseClock reads "HH:MM", up to 24:00.
func parseClock(s string) (time.Duration, error) {
	if s == "24:00" {
		return wholeDay, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of the day such as 22:00", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// parseDays reads "Mon", "Mon-Fri" or several of them, separated by commas.
func parseDays(s string) ([7]bool, error) {
	var days [7]bool
	for part := range strings.SplitSeq(s, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, ok := weekday(first)
		to, ok2 := from, true
		if ranged {
			to, ok2 = weekday(last)
		}
		if !ok || !ok2 {
			return days, fmt.Errorf("%q is no day such as Mon or Mon-Fri", part)
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func weekday(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}
