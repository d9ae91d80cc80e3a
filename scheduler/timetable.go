package scheduler

import "time"

// timetable compares the wall clock with a schedule. It is not safe for
// concurrent use.
type timetable struct {
	schedule Schedule
	next     time.Time // zero: not known
	seen     time.Time // the wall clock when it was last compared
}

// set makes s the schedule from now on. A schedule that is the same keeps its
// next run, so that a reload does not put off an @every for ever.
func (t *timetable) set(s Schedule, now time.Time) {
	same := t.schedule != nil && t.schedule.String() == s.String()
	t.schedule = s
	if !same || t.next.IsZero() {
		t.next, t.seen = t.after(now), now
	}
}

// passed reports whether a run of the schedule has come, and how late now is
// for it. However many have come since it last did, it says so once.
func (t *timetable) passed(now time.Time) (late time.Duration, ok bool) {
	back := now.Before(t.seen)
	t.seen = now
	if t.next.IsZero() || now.Before(t.next) {
		// After a clock that was set back, the old next run may be far away.
		if n := t.after(now); t.next.IsZero() || back && n.Before(t.next) {
			t.next = n
		}
		return 0, false
	}
	late = now.Sub(t.next)
	// From the run, not from now: an @every keeps its phase.
	t.next = t.after(t.next)
	if !now.Before(t.next) {
		t.next = t.after(now)
	}
	return late, true
}

// after returns the next run after now, zero when the schedule has none. A
// schedule of somebody else's make that does not go forward has none: it would
// begin passes without a pause.
func (t *timetable) after(now time.Time) time.Time {
	n := t.schedule.Next(now).Round(0).UTC()
	if !n.After(now) {
		return time.Time{}
	}
	return n
}
