package store

import (
	"encoding/json"
	"strings"
	"time"
)

// TimeFormat is RFC 3339 in UTC with milliseconds, the form of every time on
// the wire.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// The instants between which a date is taken for one. What lies outside is a
// defect of its source (a zero, seconds taken for milliseconds, an overflow).
var (
	minTime = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Trim returns t in UTC, cut to milliseconds and without a monotonic reading;
// a zero time stays zero.
func Trim(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// CheckClock returns an [Unavailable] error for an instant that only a broken
// clock reads. Nothing may be changed by it: a machine whose clock begins at
// 1970 would promise dates that have come as soon as the clock is right.
func CheckClock(now time.Time) error {
	if now.Before(minTime) || now.After(maxTime) {
		return Errorf(Unavailable, "the clock reads %s, which cannot be; set it right and try again", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// FormatTime renders t in [TimeFormat], and a zero time as "".
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(TimeFormat)
}

// ParseTime reads an RFC 3339 time with any offset and cuts it to milliseconds.
// The empty string is the zero time. The [Invalid] error names the field.
func ParseTime(field, s string) (time.Time, error) {
	t, err := parseTime(field, s)
	if err == nil && s != "" && (t.Before(minTime) || t.After(maxTime)) {
		return time.Time{}, Errorf(Invalid, "%s %s: want a time between 1970-01-02 and 2262-01-01", field, Quote(s)).At(field)
	}
	return t, err
}

// parseTime is ParseTime for any instant.
func parseTime(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	// Package time takes "T1:00:00" and "00,5" too, whatever the function.
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || s[len("2026-01-05T10")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, Errorf(Invalid, "%s %s: want a time such as 2026-01-05T10:00:00.000Z", field, Quote(s)).At(field)
	}
	return Trim(t), nil
}

// Timestamp is a time whose JSON form is [TimeFormat]; a zero one is "". It is
// what JSON documents of this package hold.
type Timestamp struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return t.append(make([]byte, 0, len(TimeFormat)+2)), nil
}

// append appends the time as a JSON string.
func (t Timestamp) append(b []byte) []byte {
	b = append(b, '"')
	if !t.IsZero() {
		b = t.UTC().AppendFormat(b, TimeFormat)
	}
	return append(b, '"')
}

// UnmarshalJSON implements json.Unmarshaler; it takes what [ParseTime] takes,
// and instants that ParseTime refuses: whatever was once written down must be
// readable, or a single odd time would make a whole document so.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return Errorf(Invalid, "time %s: want a string such as \"2026-01-05T10:00:00.000Z\"", Quote(string(b)))
	}
	v, err := parseTime("time", s)
	if err != nil {
		return err
	}
	t.Time = v
	return nil
}
