package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// t0 is the instant at which the histories of these tests begin.
var t0 = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

func TestTrim_CutsToMillisecondsInUTC(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, c := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{t0, t0},
		{t0.Add(999_999), t0},
		{t0.Add(1_999_999), t0.Add(time.Millisecond)},
		{t0.In(berlin), t0},
		{time.Date(1969, 12, 31, 23, 59, 59, 999_400_000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999_000_000, time.UTC)},
	} {
		got := store.Trim(c.in)
		if !got.Equal(c.want) || got != got.Round(0) || got.Location() != time.UTC {
			t.Errorf("Trim(%v) = %v in %v; want %v", c.in, got, got.Location(), c.want)
		}
	}
}

func TestTrim_DropsTheMonotonicReading(t *testing.T) {
	now := time.Now()
	if got := store.Trim(now); got != got.Round(0) {
		t.Errorf("Trim(%v) = %v keeps the monotonic clock", now, got)
	}
}

func TestParseTime_RefusesWhatIsNoSoundDate_G1(t *testing.T) {
	for _, s := range []string{
		"2026-01-05", "2026-01-05T10:00:00", "2026-13-05T10:00:00Z", "2026-02-30T10:00:00Z", "05.01.2026", "1767607200", "now", " 2026-01-05T10:00:00Z", "2026-01-05T1:00:00Z", "2026-01-05T10:00:00,5Z",
		"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T23:59:59.999Z", "2262-01-01T00:00:00.001Z", "9999-12-31T23:59:59Z",
	} {
		got, err := store.ParseTime("estimatedPurgeDate", s)
		wantInvalid(t, err, "estimatedPurgeDate")
		if !got.IsZero() {
			t.Errorf("ParseTime(%q) = %v beside its error", s, got)
		}
	}
}

func TestParseTime_TakesAnyOffset(t *testing.T) {
	for s, want := range map[string]time.Time{
		"":                               {},
		"2026-01-05T10:00:00Z":           t0,
		"2026-01-05T10:00:00.000Z":       t0,
		"2026-01-05T11:00:00+01:00":      t0,
		"2026-01-05T10:00:00.000999999Z": t0,
		"1970-01-02T00:00:00Z":           time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC),
		"2262-01-01T00:00:00Z":           time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := store.ParseTime("at", s)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
}

func TestTimestamp_RoundTripsThroughJSON(t *testing.T) {
	type doc struct {
		At  store.Timestamp `json:"at"`
		End store.Timestamp `json:"end,omitzero"`
	}
	for _, c := range []struct {
		in   doc
		want string
	}{
		{doc{}, `{"at":""}`},
		{doc{At: store.Timestamp{Time: t0}}, `{"at":"2026-01-05T10:00:00.000Z"}`},
		{doc{At: store.Timestamp{Time: t0.In(time.FixedZone("", -3600))}}, `{"at":"2026-01-05T10:00:00.000Z"}`},
		{doc{At: store.Timestamp{Time: t0}, End: store.Timestamp{Time: t0.Add(7 * time.Millisecond)}}, `{"at":"2026-01-05T10:00:00.000Z","end":"2026-01-05T10:00:00.007Z"}`},
	} {
		b, err := json.Marshal(c.in)
		if err != nil || string(b) != c.want {
			t.Errorf("encodes as %s, %v; want %s", b, err, c.want)
		}
		var back doc
		if err := json.Unmarshal(b, &back); err != nil || !back.At.Equal(c.in.At.Time) || !back.End.Equal(c.in.End.Time) {
			t.Errorf("%s decodes to %v, %v", b, back, err)
		}
	}
}

func TestTimestamp_RefusesOtherJSON(t *testing.T) {
	for _, s := range []string{`1767607200`, `true`, `{}`, `["2026-01-05T10:00:00Z"]`, `"yesterday"`, `"2026-02-30T10:00:00Z"`} {
		at := store.Timestamp{Time: t0}
		err := json.Unmarshal([]byte(s), &at)
		if store.CodeOf(err) != store.Invalid {
			t.Errorf("%s decodes to %v, %v; want an invalid error", s, at, err)
		}
	}
}

// What is outside the bounds of ParseTime may have been written by a broken
// clock: it must not hide the document that holds it.
func TestTimestamp_ReadsWhateverItWrites(t *testing.T) {
	for _, at := range []time.Time{time.Unix(10, 0), time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)} {
		b, err := json.Marshal(store.Timestamp{Time: at})
		if err != nil {
			t.Fatal(err)
		}
		var back store.Timestamp
		if err := json.Unmarshal(b, &back); err != nil || !back.Equal(at) {
			t.Errorf("%v is written as %s and read as %v, %v", at, b, back, err)
		}
	}
}

func TestFormatTime_RendersZeroAsNothing(t *testing.T) {
	if got := store.FormatTime(time.Time{}); got != "" {
		t.Errorf("a zero time renders as %q", got)
	}
	if got, want := store.FormatTime(t0.In(time.FixedZone("", 7200))), "2026-01-05T10:00:00.000Z"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// What lies outside would be written and could not be read again.
func TestCheckClock_RefusesWhatNoTimestampReads_G8(t *testing.T) {
	first, last := time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	for at, ok := range map[time.Time]bool{
		{}: false, time.Unix(10, 0): false, first.Add(-time.Millisecond): false, first: true, t0: true, last: true, last.Add(time.Millisecond): false,
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): false,
	} {
		err := store.CheckClock(at)
		if ok != (err == nil) || !ok && store.CodeOf(err) != store.Unavailable {
			t.Errorf("CheckClock(%v) = %v; want it accepted: %v", at, err, ok)
		}
		b, merr := json.Marshal(store.Timestamp{Time: at})
		var back store.Timestamp
		if rerr := json.Unmarshal(b, &back); ok && (merr != nil || rerr != nil || !back.Equal(at)) {
			t.Errorf("%v is accepted and reads back from %s as %v, %v", at, b, back, rerr)
		}
	}
}
