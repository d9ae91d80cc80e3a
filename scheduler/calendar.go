package scheduler

import (
	"time"

	"github.com/robfig/cron/v3"
)

// maxOffset is beyond what any zone's clock is ahead of UTC.
const maxOffset = 26 * time.Hour

// calendar is a schedule of calendar fields. Local times are kept in values
// whose zone is UTC ("civil"); robfig/cron walks the calendar on those, where
// no clock is ever changed, and this type maps them to instants.
type calendar struct {
	civil cron.SpecSchedule // its Location is UTC
	zone  *time.Location
	// elapsed: every hour is named, so that the schedule is one of intervals.
	elapsed bool
	text    string
}

// Next implements [Schedule].
func (c *calendar) Next(t time.Time) time.Time {
	t = t.Round(0).UTC()
	if c.elapsed {
		return c.nextElapsed(t)
	}
	return c.nextNamed(t)
}

// String implements [Schedule].
func (c *calendar) String() string { return c.text }

// nextNamed returns the instant of the first named local time that comes after
// t. Instants never decrease as local times increase, so the first that fits
// is the earliest.
func (c *calendar) nextNamed(t time.Time) time.Time {
	offset, _ := c.span(t)
	l := c.nextCivil(t.Add(offset))
	for !l.IsZero() {
		if u := c.instant(l); u.After(t) {
			return u
		}
		l = c.nextCivil(l) // the second time that the clock shows l
	}
	return time.Time{}
}

// nextElapsed returns the first instant after t at which the local clock shows
// a time of the schedule, whether or not it showed it before.
func (c *calendar) nextElapsed(t time.Time) time.Time {
	after := time.Duration(0)
	for {
		offset, end := c.span(t)
		l := c.nextCivil(t.Add(offset - after))
		if l.IsZero() {
			return time.Time{}
		}
		if u := l.Add(-offset); end.IsZero() || u.Before(end) {
			return u
		}
		t, after = end, time.Nanosecond // end itself may be the one
	}
}

// instant returns the first instant at which the local clock shows l or later:
// the first of two when the clock shows l twice, and the end of the gap when
// it skips l.
func (c *calendar) instant(l time.Time) time.Time {
	at := l.Add(-maxOffset)
	for {
		offset, end := c.span(at)
		u := l.Add(-offset)
		if u.Before(at) {
			return at
		}
		if end.IsZero() || u.Before(end) {
			return u
		}
		at = end
	}
}

// span returns how far the local clock is ahead of UTC at t, and until when it
// stays so at least, which is after t; zero for ever.
func (c *calendar) span(t time.Time) (offset time.Duration, end time.Time) {
	local := t.In(c.zone)
	_, seconds := local.Zone()
	_, end = local.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the tables of a zone, ZoneBounds takes every year to have 365
		// days, and answers with this midnight all through 31 December of a leap
		// year (Go 1.26, Europe/Berlin in 2040). No zone changes on that day.
		end = t.Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	if !end.IsZero() {
		end = end.UTC()
	}
	return time.Duration(seconds) * time.Second, end
}

// nextCivil returns the first local time of the schedule after l, on the
// second, or zero when there is none.
func (c *calendar) nextCivil(l time.Time) time.Time {
	// One search ends after five years, and 29 February can be eight away.
	for range 2 {
		if next := c.civil.Next(l); !next.IsZero() {
			return next
		}
		l = l.AddDate(5, 0, 0)
	}
	return time.Time{}
}
