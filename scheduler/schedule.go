package scheduler

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tenantpurge/purger/store"
)

// maxSpecLength is the largest length of a schedule, in bytes. Five fields that
// list every value they can take fit well.
const maxSpecLength = 1024

// Schedule tells when passes begin. Its methods are safe for concurrent use.
type Schedule interface {
	// Next returns the first instant of the schedule that is after t.
	Next(t time.Time) time.Time
	// String returns the schedule in the form that [ParseSchedule] reads.
	String() string
}

// ParseSchedule reads a schedule in the syntax of robfig/cron:
//
//	*/5 * * * *                           minute, hour, day of month, month, day of week
//	CRON_TZ=Europe/Berlin 30 2 * * 1-5    in a time zone; TZ= is the same
//	@hourly                               @daily @midnight @weekly @monthly @yearly @annually
//	@every 90s                            1 s or more, whole seconds
//
// Without a zone it is UTC. Days of the week are 0 (Sunday) to 6 or sun to sat,
// months 1 to 12 or jan to dec. When both days are restricted, a day that fits
// one of them fits.
//
// What would not do what it seems to say is an [store.Invalid] error that says
// what would be right: an interval below one second, a date that there is not,
// a step beyond the end of its field, a zone that depends on the machine.
//
// # Daylight saving time
//
// A schedule that names hours runs once for each local time that it names: one
// that the clock skips in spring runs at the first instant after the gap,
// together with others of the same gap, and one that comes twice in autumn runs
// the first time. A schedule of every hour, and @every, run by elapsed time: a
// skipped hour has no runs, a repeated hour has its runs twice.
func ParseSchedule(spec string) (Schedule, error) {
	if len(spec) > maxSpecLength {
		return nil, invalid(spec, "%d bytes long; want at most %d", len(spec), maxSpecLength)
	}
	words := strings.Fields(spec)
	if len(words) == 0 {
		return nil, invalid(spec, "empty; want five fields such as \"*/5 * * * *\", or @hourly, or @every 5m")
	}
	zone, prefix := time.UTC, ""
	if name, ok := cutZone(words[0]); ok {
		var err error
		if zone, err = loadZone(spec, name); err != nil {
			return nil, err
		}
		prefix, words = "CRON_TZ="+name+" ", words[1:]
		if len(words) == 0 {
			return nil, invalid(spec, "a time zone alone; want it before five fields, such as %q", prefix+"30 2 * * *")
		}
	}
	text := prefix + strings.Join(words, " ")
	if words[0] == "@every" {
		return parseEvery(spec, text, words[1:])
	}
	if err := checkWords(spec, words); err != nil {
		return nil, err
	}
	return parseCalendar(spec, text, words, zone)
}

// parseCalendar reads five fields or a descriptor, both checked.
func parseCalendar(spec, text string, words []string, zone *time.Location) (Schedule, error) {
	parsed, err := cron.ParseStandard(strings.Join(words, " "))
	if err != nil {
		return nil, invalid(spec, "%w", err)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, invalid(spec, "not a schedule of calendar fields")
	}
	c := &calendar{civil: *fields, zone: zone, text: text}
	c.civil.Location = time.UTC
	const everyHour = 1<<24 - 1
	c.elapsed = c.civil.Hour&everyHour == everyHour
	// Any year does: the calendar decides, not the present date.
	if c.nextCivil(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, invalid(spec, "no year has such a day, it would never run; want a day that the month has")
	}
	return c, nil
}

// cutZone returns the zone's name when word is a zone.
func cutZone(word string) (string, bool) {
	if name, ok := strings.CutPrefix(word, "CRON_TZ="); ok {
		return name, true
	}
	return strings.CutPrefix(word, "TZ=")
}

// loadZone finds a zone by a name that means the same on every machine.
func loadZone(spec, name string) (*time.Location, error) {
	const want = "want a name such as CRON_TZ=Europe/Berlin"
	switch name {
	case "":
		return nil, invalid(spec, "an empty time zone; %s", want)
	case "Local":
		return nil, invalid(spec, "time zone Local depends on the machine; %s", want)
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // its text has the name as it is, control characters and all
		return nil, invalid(spec, "time zone %.64q is not in this machine's time zone database; %s", name, want)
	}
	return zone, nil
}

// invalid returns the error for a schedule that is refused.
func invalid(spec, format string, args ...any) error {
	return store.Errorf(store.Invalid, "schedule %.64q: "+format, append([]any{spec}, args...)...).At("schedule")
}
