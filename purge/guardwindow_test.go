package purge_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests need every zone, whatever the machine has

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func window(t *testing.T, s string) purge.Window {
	t.Helper()
	w, err := purge.ParseWindow(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// utc reads "2026-03-02 22:00:00".
func utc(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.DateTime, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWindow_OpensAndClosesAtTheBoundary(t *testing.T) {
	// 2 March 2026 is a Monday. Berlin changes to summer time on 29 March 2026 at
	// 01:00 UTC, when 02:00 becomes 03:00, and back on 25 October at 01:00 UTC,
	// when 03:00 becomes 02:00.
	for _, c := range []struct{ window, opens, closes string }{
		{"22:00-05:00 UTC", "2026-03-02 22:00:00", "2026-03-03 05:00:00"},
		{"22:00-05:00", "2026-03-02 22:00:00", "2026-03-03 05:00:00"},
		{"09:30-17:15 UTC", "2026-03-02 09:30:00", "2026-03-02 17:15:00"},
		{"Mon 22:00-05:00 UTC", "2026-03-02 22:00:00", "2026-03-03 05:00:00"}, // the day on which it begins
		{"Fri-Sun 22:00-05:00 UTC", "2026-03-06 22:00:00", "2026-03-07 05:00:00"},
		{"Sat-Mon 12:00-13:00 UTC", "2026-03-07 12:00:00", "2026-03-07 13:00:00"}, // across the end of the week
		{"Sat,Sun 00:00-24:00 Europe/Berlin", "2026-03-06 23:00:00", "2026-03-08 23:00:00"},
		{"sat, sun 00:00-24:00 Europe/Berlin", "2026-03-06 23:00:00", "2026-03-08 23:00:00"},
		{"01:00-02:00 UTC,02:00-03:00 UTC", "2026-03-02 01:00:00", "2026-03-02 03:00:00"},
		{"Mon 01:00-02:00 UTC, Sat,Sun 00:00-24:00 UTC", "2026-03-07 00:00:00", "2026-03-09 00:00:00"},
		{"20:00-24:00 America/New_York", "2026-03-03 01:00:00", "2026-03-03 05:00:00"},
		{"22:00-05:00 Asia/Kolkata", "2026-03-02 16:30:00", "2026-03-02 23:30:00"},
		{"02:00-04:00 Europe/Berlin", "2026-03-29 01:00:00", "2026-03-29 02:00:00"}, // an hour is missing
		{"02:00-03:00 Europe/Berlin", "2026-10-25 00:00:00", "2026-10-25 02:00:00"}, // and one comes twice
		{"01:30-02:30 Europe/Berlin", "2026-10-25 01:00:00", "2026-10-25 01:30:00"}, // its second part
	} {
		w, opens, closes := window(t, c.window), utc(t, c.opens), utc(t, c.closes)
		for at, want := range map[time.Time]bool{
			opens.Add(-time.Nanosecond): false, opens: true, closes.Add(-time.Nanosecond): true, closes: false,
		} {
			if w.Open(at) != want {
				t.Errorf("%q at %s: open is %t, want %t", c.window, at, !want, want)
			}
		}
		if got := w.Next(opens.Add(-time.Nanosecond)); !got.Equal(opens) {
			t.Errorf("%q is said to open at %s, want %s", c.window, got.UTC(), opens)
		}
		if got := w.Next(opens); !got.Equal(opens) {
			t.Errorf("%q is open, and said to open at %s", c.window, got.UTC())
		}
		// Next and Open agree at every minute of three days around.
		for at := opens.Add(-36 * time.Hour); at.Before(closes.Add(36 * time.Hour)); at = at.Add(17 * time.Minute) {
			next := w.Next(at)
			if next.Before(at) || !w.Open(next) || next.After(at) && w.Open(next.Add(-time.Nanosecond)) {
				t.Fatalf("%q: from %s on it opens at %s, which is not its first instant", c.window, at, next.UTC())
			}
		}
	}
}

// A window that a day of the zone skips altogether opens on the next one.
func TestWindow_SkippedByTheZoneOpensADayLater(t *testing.T) {
	w := window(t, "02:00-03:00 Europe/Berlin")
	if got, want := w.Next(utc(t, "2026-03-28 02:00:00")), utc(t, "2026-03-30 00:00:00"); !got.Equal(want) {
		t.Errorf("opens at %s, want %s", got.UTC(), want)
	}
	for at := utc(t, "2026-03-29 00:00:00"); at.Before(utc(t, "2026-03-30 00:00:00")); at = at.Add(time.Minute) {
		if w.Open(at) {
			t.Fatalf("open at %s", at)
		}
	}
	// Of a window that is open on Sundays only, the next one is a week later.
	w = window(t, "Sun 02:00-03:00 Europe/Berlin")
	if got, want := w.Next(utc(t, "2026-03-28 02:00:00")), utc(t, "2026-04-05 00:00:00"); !got.Equal(want) {
		t.Errorf("opens at %s, want %s", got.UTC(), want)
	}
}

func TestWindow_ZeroIsAlwaysOpen(t *testing.T) {
	now := time.Now()
	for _, w := range []purge.Window{{}, window(t, ""), window(t, "  ")} {
		if !w.Open(now) || !w.Next(now).Equal(now) || w.String() != "" {
			t.Errorf("%q is not always open", w)
		}
	}
	if w := window(t, " 22:00-05:00 UTC "); w.String() != "22:00-05:00 UTC" {
		t.Errorf("the text is %q", w)
	}
}

func TestParseWindow_RefusesWhatIsNoWindow(t *testing.T) {
	for _, s := range []string{
		"22:00", "22:00-", "22:00-25:00", "22:0-05:00", "22:00-05:60", "24:00-05:00", "10:00-10:00", "22:00-05:00 Mars/Phobos",
		"22:00-05:00 Local", "22:00-05:00 UTC UTC", "Mon", "Mon UTC", "Mon,Tue", "Mun 22:00-05:00", "Mon-Fry 22:00-05:00",
		"22:00-05:00 UTC,", ",22:00-05:00", "22:00-05:00;01:00-02:00", "-", "always", "22:00 - 05:00", "22:00-05:00 ../../etc/passwd",
	} {
		w, err := purge.ParseWindow(s)
		if store.CodeOf(err) != store.Invalid || err != nil && !strings.Contains(err.Error(), `"`+s+`"`) {
			t.Errorf("ParseWindow(%q) = %q, %v; want Invalid with the text", s, w, err)
		}
		if w.String() != "" {
			t.Errorf("ParseWindow(%q) returned a window with its error", s)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("22:00-05:00 UTC", int64(0))
	f.Add("Sat,Sun 00:00-24:00 Europe/Berlin, Mon-Fri 01:00-02:00", int64(1_774_746_000))
	f.Fuzz(func(t *testing.T, s string, sec int64) {
		w, err := purge.ParseWindow(s)
		if err != nil {
			return
		}
		at := time.Unix(sec%4_000_000_000, 0)
		next := w.Next(at)
		if next.IsZero() || next.Before(at) || !w.Open(next) || next.After(at) && w.Open(at) {
			t.Errorf("%q from %s on opens at %s", s, at.UTC(), next.UTC())
		}
	})
}
