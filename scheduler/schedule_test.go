package scheduler

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func TestParseSchedule_AcceptsTheSyntaxOfCron(t *testing.T) {
	const from = "2026-03-04T05:06:07.5Z" // a Wednesday
	for _, tc := range []struct{ spec, next, text string }{
		{"*/5 * * * *", "2026-03-04T05:10:00Z", "*/5 * * * *"},
		{"  */5\t* * *  * ", "2026-03-04T05:10:00Z", "*/5 * * * *"},
		{"5/15 * * * *", "2026-03-04T05:20:00Z", "5/15 * * * *"},
		{"0 5 * * *", "2026-03-05T05:00:00Z", "0 5 * * *"},
		{"0 6 ? * ?", "2026-03-04T06:00:00Z", "0 6 ? * ?"},
		{"30 2 1-7,15 JAN,feb sun", "2027-01-01T02:30:00Z", "30 2 1-7,15 JAN,feb sun"},
		{"0 0 * * 0", "2026-03-08T00:00:00Z", "0 0 * * 0"},
		{"0 0 * * mon-fri", "2026-03-05T00:00:00Z", "0 0 * * mon-fri"},
		{"*/60 */24 * * *", "2026-03-05T00:00:00Z", "*/60 */24 * * *"},
		{"0 0 31 * *", "2026-03-31T00:00:00Z", "0 0 31 * *"},
		{"TZ=Europe/Berlin 0 7 * * *", "2026-03-04T06:00:00Z", "CRON_TZ=Europe/Berlin 0 7 * * *"},
		{"CRON_TZ=UTC 0 7 * * *", "2026-03-04T07:00:00Z", "CRON_TZ=UTC 0 7 * * *"},
		{"CRON_TZ=Asia/Kathmandu\t@daily", "2026-03-04T18:15:00Z", "CRON_TZ=Asia/Kathmandu @daily"},
		{"@hourly", "2026-03-04T06:00:00Z", "@hourly"},
		{"@daily", "2026-03-05T00:00:00Z", "@daily"},
		{"@midnight", "2026-03-05T00:00:00Z", "@midnight"},
		{"@weekly", "2026-03-08T00:00:00Z", "@weekly"},
		{"@monthly", "2026-04-01T00:00:00Z", "@monthly"},
		{"@yearly", "2027-01-01T00:00:00Z", "@yearly"},
		{"@annually", "2027-01-01T00:00:00Z", "@annually"},
		{"@every 1s", "2026-03-04T05:06:08Z", "@every 1s"},
		{"@every  1h30m", "2026-03-04T06:36:07Z", "@every 1h30m"},
		{"CRON_TZ=Europe/Berlin @every 1m", "2026-03-04T05:07:07Z", "CRON_TZ=Europe/Berlin @every 1m"},
	} {
		s, err := ParseSchedule(tc.spec)
		if err != nil {
			t.Errorf("%q: %v", tc.spec, err)
			continue
		}
		if got, want := s.Next(at(t, from)), at(t, tc.next); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: next %v; want %v", tc.spec, got, want)
		}
		if s.String() != tc.text {
			t.Errorf("%q: String %q; want %q", tc.spec, s, tc.text)
		}
	}
}

// TestParseSchedule_Refuses has every trap of robfig/cron v3.0.1: what it
// panics on, and what it takes for something else than it says.
func TestParseSchedule_Refuses(t *testing.T) {
	const everyWant = "want one interval in whole seconds, at least 1s, such as @every 5m or @every 1h30m"
	const zoneWant = "want a name such as CRON_TZ=Europe/Berlin"
	for _, tc := range []struct{ why, spec, want string }{
		{"panics in cron", "TZ=0", `schedule "TZ=0": time zone "0" is not in this machine's time zone database; ` + zoneWant},
		{"panics in cron", "TZ=", `schedule "TZ=": an empty time zone; ` + zoneWant},
		{"panics in cron", "CRON_TZ=", `schedule "CRON_TZ=": an empty time zone; ` + zoneWant},
		{"panics in cron", "CRON_TZ=UTC",
			`schedule "CRON_TZ=UTC": a time zone alone; want it before five fields, such as "CRON_TZ=UTC 30 2 * * *"`},
		{"panics in cron", "TZ=Europe/Berlin",
			`schedule "TZ=Europe/Berlin": a time zone alone; want it before five fields, such as "CRON_TZ=Europe/Berlin 30 2 * * *"`},
		{"is UTC in cron", "TZ= 0 0 * * *", `schedule "TZ= 0 0 * * *": an empty time zone; ` + zoneWant},
		{"depends on the machine", "CRON_TZ=Local 0 0 * * *",
			`schedule "CRON_TZ=Local 0 0 * * *": time zone Local depends on the machine; ` + zoneWant},
		{"leaves the database", "TZ=../../etc/passwd 0 0 * * *",
			`schedule "TZ=../../etc/passwd 0 0 * * *": time zone "../../etc/passwd" is not in this machine's time zone database; ` + zoneWant},
		{"forges output", "TZ=\x1b[2J 0 0 * * *",
			`schedule "TZ=\x1b[2J 0 0 * * *": time zone "\x1b[2J" is not in this machine's time zone database; ` + zoneWant},
		{"becomes 1 s in cron", "@every 500ms", `schedule "@every 500ms": interval 500ms; ` + everyWant},
		{"becomes 1 s in cron", "@every 0s", `schedule "@every 0s": interval 0s; ` + everyWant},
		{"becomes 1 s in cron", "@every -5s", `schedule "@every -5s": interval -5s; ` + everyWant},
		{"becomes 1 s in cron", "@every 999999999ns", `schedule "@every 999999999ns": interval 999.999999ms; ` + everyWant},
		{"becomes 1 s in cron", "@every 1.5s", `schedule "@every 1.5s": interval 1.5s; ` + everyWant},
		{"no unit", "@every 5", `schedule "@every 5": interval "5"; ` + everyWant},
		{"no interval", "@every", `schedule "@every": 0 intervals; ` + everyWant},
		{"two intervals", "@every 1h 30m", `schedule "@every 1h 30m": 2 intervals; ` + everyWant},
		{"never runs", "0 0 30 2 *", `schedule "0 0 30 2 *": no year has such a day, it would never run; want a day that the month has`},
		{"never runs", "0 0 31 2,4,6,9,11 *",
			`schedule "0 0 31 2,4,6,9,11 *": no year has such a day, it would never run; want a day that the month has`},
		{"never runs", "CRON_TZ=Europe/Berlin 0 0 31 4 ?",
			`schedule "CRON_TZ=Europe/Berlin 0 0 31 4 ?": no year has such a day, it would never run; want a day that the month has`},
		{"Sunday", "0 0 * * 7", `schedule "0 0 * * 7": day of week "7": 7 is no day; Sunday is 0 or sun`},
		{"Sunday", "0 0 * * 5-7", `schedule "0 0 * * 5-7": day of week "5-7": 7 is no day; Sunday is 0 or sun`},
		{"Sunday", "0 0 * * fri-sun", `schedule "0 0 * * fri-sun": day of week "fri-sun": the range fri-sun ends before it begins; want 5-6,0`},
		{"night", "0 22-5 * * *", `schedule "0 22-5 * * *": hour "22-5": the range 22-5 ends before it begins; want 22-23,0-5`},
		{"reboot", "@reboot", `schedule "@reboot": passes at start-up need no schedule: there is one whenever something is due; ` +
			`want when to run from then on, such as @hourly`},
		{"unknown", "@fortnightly", `schedule "@fortnightly": unknown name; want one of ` +
			`@yearly @annually @monthly @weekly @daily @midnight @hourly, or @every 5m`},
		{"case", "@Hourly", `schedule "@Hourly": unknown name; want one of ` +
			`@yearly @annually @monthly @weekly @daily @midnight @hourly, or @every 5m`},
		{"two schedules", "@daily @hourly", `schedule "@daily @hourly": @daily stands alone; want nothing after it`},
		{"empty", "", `schedule "": empty; want five fields such as "*/5 * * * *", or @hourly, or @every 5m`},
		{"empty", " \t\n", `schedule " \t\n": empty; want five fields such as "*/5 * * * *", or @hourly, or @every 5m`},
		{"four fields", "* * * *", `schedule "* * * *": 4 fields; want 5: minute, hour, day of month, month, day of week`},
		{"seconds", "0 * * * * *", `schedule "0 * * * * *": 6 fields; want 5: minute, hour, day of month, month, day of week` +
			`; there is no field for seconds`},
		{"is * in cron", "*-5 * * * *", `schedule "*-5 * * * *": minute "*-5": "*"; want 0 to 59`},
		{"is 0 in cron", "*/90 * * * *", `schedule "*/90 * * * *": minute "*/90": step "90"; want 1 to 60`},
		{"step of 0", "0 */0 * * *", `schedule "0 */0 * * *": hour "*/0": step "0"; want 1 to 24`},
		{"two steps", "0 */2/3 * * *", `schedule "0 */2/3 * * *": hour "*/2/3": step "2/3"; want 1 to 24`},
		{"is 1,2 in cron", "1,,2 * * * *",
			`schedule "1,,2 * * * *": minute "1,,2": an item of the list is empty; want values separated by single commas`},
		{"is no minute in cron", ", * * * *",
			`schedule ", * * * *": minute ",": an item of the list is empty; want values separated by single commas`},
		{"is 5 in cron", "+5 * * * *", `schedule "+5 * * * *": minute "+5": "+5"; want 0 to 59`},
		{"hour", "0 24 * * *", `schedule "0 24 * * *": hour "24": "24"; want 0 to 23`},
		{"day", "0 0 0 * *", `schedule "0 0 0 * *": day of month "0": "0"; want 1 to 31`},
		{"month", "0 0 1 13 *", `schedule "0 0 1 13 *": month "13": "13"; want 1 to 12 or jan to dec`},
		{"name", "0 0 * * monday", `schedule "0 0 * * monday": day of week "monday": "monday"; want 0 to 6 or sun to sat`},
		{"range", "0 1-2-3 * * *", `schedule "0 1-2-3 * * *": hour "1-2-3": "2-3"; want 0 to 23`},
		{"long", strings.Repeat("1", 1025),
			`schedule "` + strings.Repeat("1", 64) + `": 1025 bytes long; want at most 1024`},
	} {
		s, err := ParseSchedule(tc.spec)
		if err == nil {
			t.Errorf("%s: %q was accepted as %q", tc.why, tc.spec, s)
			continue
		}
		if err.Error() != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.why, err, tc.want)
		}
		var e *store.Error
		if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != "schedule" {
			t.Errorf("%s: %q: want an Invalid error of field schedule, got %#v", tc.why, tc.spec, err)
		}
	}
}

func TestNext_FindsALeapDayBeyondAYearThatHasNone(t *testing.T) {
	// 2100 is no leap year, and cron gives up after five years.
	for _, spec := range []string{"0 0 29 2 *", "CRON_TZ=Europe/Berlin 0 1 29 2 *"} {
		got := mustParse(t, spec).Next(at(t, "2096-03-01T12:00:00Z"))
		if want := at(t, "2104-02-29T00:00:00Z"); !got.Equal(want) {
			t.Errorf("%s: %v; want %v", spec, got, want)
		}
	}
}

func TestNext_GoesOnAtTheEndOfALeapYearBeyondTheTablesOfAZone(t *testing.T) {
	// There time.ZoneBounds answers with an end that is in the past.
	for _, zone := range zones() {
		for _, year := range []int{2036, 2040, 2088, 2096} {
			for _, spec := range []string{"*/30 * * * *", "*/30 0-22 * * *"} {
				s := mustParse(t, "CRON_TZ="+zone+" "+spec)
				from := time.Date(year, 12, 30, 23, 0, 0, 0, time.UTC)
				if got := len(runsBetween(s, from, from.Add(48*time.Hour))); got < 92 || got > 96 {
					t.Errorf("%s from %v: %d runs in 48 hours", s, from, got)
				}
			}
		}
	}
}

func TestNext_IsNeverTheArgumentItself(t *testing.T) {
	s := mustParse(t, "0 12 * * *")
	noon := at(t, "2026-06-01T12:00:00Z")
	for _, tc := range []struct{ from, want time.Time }{
		{noon.Add(-1), noon},
		{noon, noon.AddDate(0, 0, 1)},
		{noon.Add(1), noon.AddDate(0, 0, 1)},
	} {
		if got := s.Next(tc.from); !got.Equal(tc.want) {
			t.Errorf("Next(%v) = %v; want %v", tc.from, got, tc.want)
		}
	}
}

// genSpec draws a schedule that is valid and its zone.
func genSpec(t *rapid.T) string {
	list := func(label string, low, high int) string {
		switch rapid.IntRange(0, 3).Draw(t, label) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("*/%d", rapid.IntRange(1, high-low+1).Draw(t, label))
		case 2:
			a, b := rapid.IntRange(low, high).Draw(t, label), rapid.IntRange(low, high).Draw(t, label)
			return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		}
		return fmt.Sprint(rapid.IntRange(low, high).Draw(t, label))
	}
	zone := rapid.SampledFrom(zones()).Draw(t, "zone")
	return fmt.Sprintf("CRON_TZ=%s %s %s %s * %s", zone,
		list("minute", 0, 59), list("hour", 0, 23), list("day", 1, 28), list("weekday", 0, 6))
}

func TestNext_IsStrictlyAfterItsArgument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.OneOf(rapid.Custom(genSpec), rapid.SampledFrom([]string{
			"@every 1s", "@every 59s", "@every 720h", "@hourly", "@yearly",
		})).Draw(t, "spec")
		s, err := ParseSchedule(spec)
		if err != nil {
			t.Fatal(err)
		}
		// From before any zone had rules to beyond all tables.
		from := time.Unix(rapid.Int64Range(-5e9, 2e10).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		for range 20 {
			next := s.Next(from)
			if !next.After(from) {
				t.Fatalf("Next(%v) = %v", from, next)
			}
			if next.Nanosecond() != 0 {
				t.Fatalf("Next(%v) = %v is not on the second", from, next)
			}
			// Nothing is skipped: an instant in between has the same next one.
			if between := from.Add(next.Sub(from) / 2); !strings.HasPrefix(spec, "@every") && !s.Next(between).Equal(next) {
				t.Fatalf("Next(%v) = %v, but Next(%v) = %v", from, next, between, s.Next(between))
			}
			from = next
		}
	})
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{
		"*/5 * * * *", "TZ=0", "TZ=", "CRON_TZ=UTC", "@every 500ms", "@every 0s", "@every -5s", "0 0 30 2 *", "0 0 * * 7",
		"@reboot", "CRON_TZ=Europe/Berlin 30 2 * * *", "@every 2562047h", "1-5/2,7 0-23/3 L * fri", ", , , , ,", "0 0 29 2 1",
	} {
		f.Add(s)
	}
	from := time.Date(2026, 3, 29, 0, 30, 0, 1, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := ParseSchedule(spec)
		if err != nil {
			if store.CodeOf(err) != store.Invalid || s != nil {
				t.Fatalf("%q: %v, %v", spec, s, err)
			}
			return
		}
		next := s.Next(from)
		if !next.After(from) {
			t.Fatalf("%q: Next(%v) = %v", spec, from, next)
		}
		again, err := ParseSchedule(s.String())
		if err != nil || again.String() != s.String() || !again.Next(from).Equal(next) {
			t.Fatalf("%q: %q reads back as %v, %v", spec, s, again, err)
		}
	})
}
