package scheduler

import (
	"testing"
	"time"
)

// fixed is a schedule of somebody else's make.
type fixed struct{ next time.Time }

func (f fixed) Next(time.Time) time.Time { return f.next }
func (f fixed) String() string           { return "fixed" }

func TestTimetable_ComparesTheWallClock(t *testing.T) {
	const missing = time.Duration(-1)
	type look struct {
		now  string
		late time.Duration // missing: no run has come
		next string
	}
	for _, tc := range []struct {
		why, spec string
		looks     []look // the first one sets the schedule
	}{
		{"the boundary", "*/5 * * * *", []look{
			{"12:00:00", missing, "12:05:00"},
			{"12:04:59.999999999", missing, "12:05:00"},
			{"12:05:00", 0, "12:10:00"},
			{"12:05:00.000000001", missing, "12:10:00"},
		}},
		{"many missed runs are one", "*/5 * * * *", []look{
			{"12:01:00", missing, "12:05:00"},
			{"15:03:00", 2*time.Hour + 58*time.Minute, "15:05:00"},
			{"15:03:01", missing, "15:05:00"},
		}},
		{"a clock that was set back delays nothing", "*/5 * * * *", []look{
			{"12:01:00", missing, "12:05:00"},
			{"12:05:00", 0, "12:10:00"},
			{"09:02:00", missing, "09:05:00"},
			{"09:05:00", 0, "09:10:00"},
		}},
		{"set back, by interval", "@every 1h", []look{
			{"12:00:00", missing, "13:00:00"},
			{"11:30:00", missing, "12:30:00"},
			{"11:45:00", missing, "12:30:00"},
		}},
		{"set back a little, by interval", "@every 1h", []look{
			{"12:00:00", missing, "13:00:00"},
			{"12:50:00", missing, "13:00:00"},
			{"12:49:59", missing, "13:00:00"},
		}},
		{"an interval keeps its phase when a look is late", "@every 1h", []look{
			{"12:00:00", missing, "13:00:00"},
			{"13:00:07", 7 * time.Second, "14:00:00"},
			{"16:20:00", 2*time.Hour + 20*time.Minute, "17:20:00"}, // or begins anew when runs were missed
		}},
	} {
		var tt timetable
		for i, l := range tc.looks {
			now := at(t, "2026-06-01T"+l.now+"Z")
			late, ok := time.Duration(0), false
			if i == 0 {
				tt.set(mustParse(t, tc.spec), now)
			} else {
				late, ok = tt.passed(now)
			}
			if ok != (l.late != missing) || ok && late != l.late {
				t.Errorf("%s: at %s: passed = %v, %v", tc.why, l.now, late, ok)
			}
			if want := at(t, "2026-06-01T"+l.next+"Z"); !tt.next.Equal(want) {
				t.Errorf("%s: at %s: next %v; want %v", tc.why, l.now, tt.next, want)
			}
		}
	}
}

func TestTimetable_TheSameScheduleAgainKeepsItsNextRun(t *testing.T) {
	now := at(t, "2026-06-01T12:00:00Z")
	var tt timetable
	tt.set(mustParse(t, "@every 24h"), now)
	next := tt.next
	tt.set(mustParse(t, "@every  24h"), now.Add(23*time.Hour))
	if !tt.next.Equal(next) {
		t.Errorf("a reload put the run off to %v", tt.next)
	}
	tt.set(mustParse(t, "@every 1440m"), now.Add(23*time.Hour))
	if want := now.Add(47 * time.Hour); !tt.next.Equal(want) {
		t.Errorf("another schedule: next %v; want %v", tt.next, want)
	}
}

func TestTimetable_AScheduleThatDoesNotGoForwardNeverRuns(t *testing.T) {
	now := at(t, "2026-06-01T12:00:00Z")
	for _, next := range []time.Time{{}, now, now.Add(-time.Hour)} {
		var tt timetable
		tt.set(fixed{next}, now)
		if _, ok := tt.passed(now); ok || !tt.next.IsZero() {
			t.Errorf("Next = %v: passed %v, next %v", next, ok, tt.next)
		}
	}
}
