package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// zones returns zones with every kind of change: at night, at midnight, by 30
// minutes, by 2 hours, by a day, backwards in summer, and none.
func zones() []string {
	return []string{
		"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Moscow", "America/New_York", "America/Sao_Paulo",
		"America/Havana", "America/St_Johns", "America/Caracas", "America/Nuuk", "Africa/Cairo", "Africa/Casablanca",
		"Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Asia/Kathmandu", "Asia/Pyongyang", "Australia/Lord_Howe",
		"Pacific/Apia", "Pacific/Kwajalein", "Pacific/Kiritimati", "Antarctica/Troll", "Antarctica/Casey",
	}
}

// runsBetween returns the runs of a schedule after from up to and including to.
func runsBetween(s Schedule, from, to time.Time) []time.Time {
	var runs []time.Time
	for t := s.Next(from); !t.After(to); t = s.Next(t) {
		runs = append(runs, t)
	}
	return runs
}

func TestDST_NamedTimeRunsOnceInSpringAndInAutumn(t *testing.T) {
	for _, tc := range []struct {
		why, spec, from, to string
		want                []string
	}{
		{"the gap ends at 03:00 local", "CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"the first 02:30 of two", "CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"asked during the second 02:00 to 03:00", "CRON_TZ=Europe/Berlin */30 2 * * *", "2026-10-25T01:15:00Z", "2026-10-26T01:00:00Z",
			[]string{"2026-10-26T01:00:00Z"}},
		{"the gap begins at its first minute", "CRON_TZ=Europe/Berlin 0 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z"}},
		{"several of one gap run together", "CRON_TZ=Europe/Berlin */20 2,3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z", "2026-03-29T01:40:00Z"}},
		{"an hour with a step is a named one", "CRON_TZ=Europe/Berlin 0 */2 * * *", "2026-10-24T21:59:00Z", "2026-10-25T03:00:00Z",
			[]string{"2026-10-24T22:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"}},
		{"midnight is skipped", "CRON_TZ=America/Sao_Paulo 0 0 * * *", "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z",
			[]string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"midnight comes twice", "CRON_TZ=America/Havana @daily", "2025-11-01T12:00:00Z", "2025-11-03T12:00:00Z",
			[]string{"2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"}},
		{"a whole day is skipped", "CRON_TZ=Pacific/Apia 0 12 * * *", "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z",
			[]string{"2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
		{"only on the day itself", "CRON_TZ=Europe/Berlin 30 2 * * mon", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z",
			[]string{"2026-03-30T00:30:00Z"}},
		{"as before without a zone", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z",
			[]string{"2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"}},
	} {
		var got []string
		for _, r := range runsBetween(mustParse(t, tc.spec), at(t, tc.from), at(t, tc.to)) {
			got = append(got, r.Format(time.RFC3339))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", tc.why, tc.spec, diff)
		}
	}
}

func TestDST_EveryHourRunsByElapsedTime(t *testing.T) {
	for _, spec := range []string{"*/5 * * * *", "*/5 0-23 * * *", "0 * * * *", "@hourly", "@every 5m"} {
		step := 5 * time.Minute
		if spec == "0 * * * *" || spec == "@hourly" {
			step = time.Hour
		}
		s := mustParse(t, "CRON_TZ=Europe/Berlin "+spec)
		for _, day := range []string{"2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"} { // spring, autumn
			from := at(t, day)
			for i, r := range runsBetween(s, from, from.Add(12*time.Hour)) {
				if want := from.Add(time.Duration(i+1) * step); !r.Equal(want) {
					t.Fatalf("%s: run %d after %v at %v; want %v", spec, i+1, from, r, want)
				}
			}
		}
	}
}

// drawn is a schedule and what it means.
type drawn struct {
	spec                  string
	minutes, hours, wdays []int
	everyHour             bool
}

func (d drawn) matches(civil time.Time) bool {
	return slices.Contains(d.minutes, civil.Minute()) && slices.Contains(d.hours, civil.Hour()) &&
		slices.Contains(d.wdays, int(civil.Weekday()))
}

func draw(t *rapid.T, zone string) drawn {
	set := func(label string, n, most int) ([]int, string) {
		if rapid.IntRange(0, 2).Draw(t, label+" all") == 0 {
			all := make([]int, n)
			for i := range all {
				all[i] = i
			}
			return all, "*"
		}
		vs := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, most, rapid.ID).Draw(t, label)
		var text []string
		for _, v := range vs {
			text = append(text, strconv.Itoa(v))
		}
		return vs, strings.Join(text, ",")
	}
	var d drawn
	var minute, hour, wday string
	d.minutes, minute = set("minutes", 60, 4)
	d.hours, hour = set("hours", 24, 23)
	d.wdays, wday = set("weekdays", 7, 4)
	d.everyHour = len(d.hours) == 24
	d.spec = fmt.Sprintf("CRON_TZ=%s %s %s * * %s", zone, minute, hour, wday)
	return d
}

// reference returns the runs by reading the local clock at every minute.
func (d drawn) reference(zone *time.Location, from, to time.Time) []time.Time {
	read := func(u time.Time) time.Time {
		l := u.In(zone)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
	}
	var runs []time.Time
	u := from.Truncate(time.Minute).Add(-72 * time.Hour)
	highest := read(u) // the latest time that the local clock has shown
	for ; !u.After(to); u = u.Add(time.Minute) {
		shown, run := read(u), false
		if d.everyHour {
			run = d.matches(shown)
		} else {
			for highest.Before(shown) {
				highest = highest.Add(time.Minute)
				run = run || d.matches(highest)
			}
		}
		if run && u.After(from) {
			runs = append(runs, u)
		}
	}
	return runs
}

func TestDST_AgreesWithAClockThatIsReadEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones()).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		d := draw(t, zone.String())
		year := rapid.IntRange(1973, 2099).Draw(t, "year") // before 1973 offsets had seconds
		from := time.Date(year, 1, rapid.IntRange(1, 365).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		if _, change := from.In(zone).ZoneBounds(); !change.IsZero() && change.Year() < 2100 {
			from = change.UTC()
		}
		from = from.Add(time.Duration(rapid.Int64Range(int64(-30*time.Hour), int64(3*time.Hour)).Draw(t, "from")))
		to := from.Add(60 * time.Hour)
		s, err := ParseSchedule(d.spec)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.reference(zone, from, to), runsBetween(s, from, to)); diff != "" {
			t.Fatalf("%s from %v (-want +got):\n%s", d.spec, from, diff)
		}
	})
}
