package store_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// wantInvalid fails t unless err is an Invalid error that names the field.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var e *store.Error
	if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != field {
		t.Errorf("got %v (%s); want an invalid error of field %q", err, store.CodeOf(err), field)
	}
}

func TestCheckID_TakesTheAlphabetAlone(t *testing.T) {
	for id, ok := range map[string]bool{
		"a": true, "Z": true, "0": true, "acme.eu_1:x-y": true, "a..b": true, "a-": true, strings.Repeat("a", 128): true,
		"": false, ".a": false, "_a": false, ":a": false, "-a": false, "..": false, strings.Repeat("a", 129): false,
		"a b": false, "a/b": false, "a\\b": false, "a%2f": false, "a'--": false, "a\x00": false, "a\n": false, "ä": false, "a\xff": false, "a@b": false,
	} {
		err := store.CheckID("tenantId", id)
		if ok && err != nil {
			t.Errorf("CheckID(%q) = %v; want nil", id, err)
		}
		if !ok {
			wantInvalid(t, err, "tenantId")
		}
	}
}

func TestCheckID_MessageQuotesAHostileIDShort(t *testing.T) {
	msg := store.CheckID("id", "x\n"+strings.Repeat("y", 1000)).Error()
	if strings.ContainsAny(msg, "\n") || len(msg) > 300 {
		t.Errorf("message of %d bytes: %q", len(msg), msg)
	}
}

func TestCheckText_RefusesWhatCouldForgeALine(t *testing.T) {
	for s, ok := range map[string]bool{
		"": true, "Acme Corporation": true, "Žluťoučký 株式": true, "<b>&\"'": true, strings.Repeat("x", 20): true, strings.Repeat("ä", 10): true,
		"a\nb": false, "a\rb": false, "a\tb": false, "\x1b[31m": false, "\x7f": false, "\u0085": false, "\u2028": false, "\u2029": false,
		"\u202eevil": false, "\u2066x": false, "\u200f": false, "\xff": false, strings.Repeat("x", 21): false, strings.Repeat("ä", 11): false,
	} {
		err := store.CheckText("name", s, 20)
		if ok && err != nil {
			t.Errorf("CheckText(%q) = %v; want nil", s, err)
		}
		if !ok {
			wantInvalid(t, err, "name")
		}
	}
}

func TestCheckHostname_TakesHostNamesAlone(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for h, ok := range map[string]bool{
		"": true, "a": true, "acme.eu.example.com": true, "A-1.example": true, "xn--bcher-kva.example": true, "_dmarc.example": true, "1.2.3.4": true,
		label63 + ".example": true, strings.Repeat(label63+".", 3) + strings.Repeat("b", 61): true,
		".": false, ".a": false, "a.": false, "a..b": false, "-a": false, "a-": false, "a-.b": false, "a.-b": false, "a b": false, "a/b": false,
		"a:80": false, "bücher.example": false, "a\x00": false, label63 + "a.example": false, strings.Repeat("a.", 127): false,
		strings.Repeat(label63+".", 3) + strings.Repeat("b", 62): false,
	} {
		err := store.CheckHostname(h)
		if ok && err != nil {
			t.Errorf("CheckHostname(%q) = %v; want nil", h, err)
		}
		if !ok {
			wantInvalid(t, err, "hostname")
		}
	}
}

func TestGrace_Check(t *testing.T) {
	for _, c := range []struct {
		grace store.Grace
		days  int
		want  int // 0: refused
	}{
		{store.Grace{}, 0, 30}, {store.Grace{}, 10, 10}, {store.Grace{}, 90, 90}, {store.Grace{}, 9, 0}, {store.Grace{}, 91, 0}, {store.Grace{}, -1, 0},
		{store.Grace{}, math.MinInt, 0}, {store.Grace{}, math.MaxInt, 0},
		{store.Grace{Min: 1, Max: 5, Default: 3}, 0, 3}, {store.Grace{Min: 1, Max: 5, Default: 3}, 1, 1}, {store.Grace{Min: 1, Max: 5, Default: 3}, 6, 0},
		{store.Grace{Max: 20}, 0, 0}, // the default of 30 lies beyond this Max: refused, not clamped
		{store.Grace{Min: 40, Default: 40}, 39, 0}, {store.Grace{Min: 40, Default: 40}, 90, 90},
	} {
		got, err := c.grace.Check(c.days)
		if c.want == 0 {
			wantInvalid(t, err, "purgeAfterDays")
		} else if err != nil || got != c.want {
			t.Errorf("%+v.Check(%d) = %d, %v; want %d", c.grace, c.days, got, err, c.want)
		}
	}
}

func TestTenant_G1_DueFromItsDateOn(t *testing.T) {
	tn := store.Tenant{ID: "a", Status: store.StatusDisabled, DisabledAt: t0, PurgeAfterDays: 10, EstimatedPurgeDate: store.PurgeDate(t0, 10)}
	date := t0.Add(240 * time.Hour)
	for at, want := range map[time.Time]bool{
		date.Add(-time.Millisecond): false, date: true, date.Add(time.Millisecond): true, {}: false, date.In(time.FixedZone("", 3600)): true,
	} {
		if got := tn.Due(at); got != want {
			t.Errorf("Due(%v) = %v; want %v", at, got, want)
		}
	}
	for _, status := range []store.Status{store.StatusActive, store.StatusPurging, store.StatusFailed, store.StatusDeleted, ""} {
		other := tn
		other.Status = status
		if other.Due(date) {
			t.Errorf("a tenant that is %q is due", status)
		}
	}
	tn.EstimatedPurgeDate = time.Time{}
	if tn.Due(date.AddDate(100, 0, 0)) {
		t.Error("a tenant without a date is due")
	}
}

// A day is 24 hours, also where the local day has 23 or 25.
func TestPurgeDate_CountsDaysOf24Hours(t *testing.T) {
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	if got, want := store.PurgeDate(at, 10), at.Add(240*time.Hour); !got.Equal(want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestTenant_G1_CheckDateFindsEveryUnsoundDate(t *testing.T) {
	sound := store.Tenant{ID: "a", Status: store.StatusDisabled, DisabledAt: t0, PurgeAfterDays: 10, EstimatedPurgeDate: store.PurgeDate(t0, 10)}
	if err := sound.CheckDate(); err != nil {
		t.Fatalf("a sound date: %v", err)
	}
	for _, c := range []struct {
		field string
		spoil func(*store.Tenant)
	}{
		{"disabledAt", func(t *store.Tenant) { t.DisabledAt = time.Time{} }},
		{"disabledAt", func(t *store.Tenant) { disabledAt(t, time.Date(1970, 1, 1, 23, 59, 59, 0, time.UTC)) }},
		{"disabledAt", func(t *store.Tenant) { disabledAt(t, time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)) }},
		{"disabledAt", func(t *store.Tenant) { disabledAt(t, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) }},
		{"purgeAfterDays", func(t *store.Tenant) { t.PurgeAfterDays = 0 }},
		{"purgeAfterDays", func(t *store.Tenant) { t.PurgeAfterDays = -10 }},
		{"purgeAfterDays", func(t *store.Tenant) { t.PurgeAfterDays = 3651 }},
		{"purgeAfterDays", func(t *store.Tenant) { t.PurgeAfterDays = math.MaxInt }},
		{"estimatedPurgeDate", func(t *store.Tenant) { t.EstimatedPurgeDate = time.Time{} }},
		{"estimatedPurgeDate", func(t *store.Tenant) { t.EstimatedPurgeDate = t.EstimatedPurgeDate.Add(-time.Millisecond) }},
		{"estimatedPurgeDate", func(t *store.Tenant) { t.EstimatedPurgeDate = t.EstimatedPurgeDate.Add(time.Millisecond) }},
	} {
		bad := sound
		c.spoil(&bad)
		wantInvalid(t, bad.CheckDate(), c.field)
		wantInvalid(t, bad.Validate(), c.field)
	}
}

// disabledAt gives t a grace period of 10 days from an instant on.
func disabledAt(t *store.Tenant, at time.Time) {
	t.DisabledAt, t.PurgeAfterDays, t.EstimatedPurgeDate = at, 10, store.PurgeDate(at, 10)
}

func TestTenant_Validate(t *testing.T) {
	for _, c := range []struct {
		field string // "": valid
		edit  func(*store.Tenant)
	}{
		{"", func(*store.Tenant) {}},
		{"", func(t *store.Tenant) { t.ParentID, t.Hostname, t.ActiveSubscriptions = "root", "a.example", 7 }},
		{"", func(t *store.Tenant) { t.Status = store.StatusPurging }},
		{"", func(t *store.Tenant) { t.Hold = &store.Hold{Reason: "litigation"} }},
		{"id", func(t *store.Tenant) { t.ID = "" }},
		{"id", func(t *store.Tenant) { t.ID = "../a" }},
		{"parentId", func(t *store.Tenant) { t.ParentID = "a/b" }},
		{"parentId", func(t *store.Tenant) { t.ParentID = t.ID }},
		{"name", func(t *store.Tenant) { t.Name = "a\nb" }},
		{"name", func(t *store.Tenant) { t.Name = strings.Repeat("x", store.MaxNameLength+1) }},
		{"hostname", func(t *store.Tenant) { t.Hostname = "-a" }},
		{"activeSubscriptions", func(t *store.Tenant) { t.ActiveSubscriptions = -1 }},
		{"hold.reason", func(t *store.Tenant) { t.Hold = &store.Hold{} }},
		{"hold.reason", func(t *store.Tenant) { t.Hold = &store.Hold{Reason: "\x00"} }},
		{"hold.until", func(t *store.Tenant) {
			t.Hold = &store.Hold{Reason: "r", Until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
		}},
		{"hold.actor.name", func(t *store.Tenant) {
			t.Hold = &store.Hold{Reason: "r", Actor: store.Actor{Name: "a\x1b[2J"}}
		}},
		{"disabledBy.email", func(t *store.Tenant) { t.DisabledBy.Email = "\xff" }},
		{"status", func(t *store.Tenant) { t.Status = "" }},
		{"status", func(t *store.Tenant) { t.Status = "Active" }},
		{"status", func(t *store.Tenant) { t.Status = store.StatusDeleted }},
		{"status", func(t *store.Tenant) { t.DisabledAt = t0 }},
		{"status", func(t *store.Tenant) { t.PurgeAfterDays = 10 }},
		{"status", func(t *store.Tenant) { t.EstimatedPurgeDate = t0 }},
		{"disabledAt", func(t *store.Tenant) { t.Status = store.StatusDisabled }},
		{"", func(t *store.Tenant) { t.ReactivatedAt = t0 }},
		{"", func(t *store.Tenant) { t.Status, t.ReactivatedAt = store.StatusPurging, t0 }}, // with one above it
		{"reactivatedAt", func(t *store.Tenant) { *t = disabled("acme"); t.ReactivatedAt = t0 }},
		{"reactivatedAt", func(t *store.Tenant) { t.ReactivatedAt = time.Unix(0, 0) }},
		{"reactivatedAt", func(t *store.Tenant) { t.ReactivatedAt = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }},
	} {
		tn := store.Tenant{ID: "acme", Name: "Acme", Status: store.StatusActive}
		c.edit(&tn)
		if err := tn.Validate(); c.field != "" {
			wantInvalid(t, err, c.field)
		} else if err != nil {
			t.Errorf("%+v: %v", tn, err)
		}
	}
}

func TestHold_EndsExactlyAtUntil(t *testing.T) {
	until := t0.Add(time.Hour)
	for _, c := range []struct {
		hold *store.Hold
		at   time.Time
		want bool
	}{
		{nil, t0, false},
		{&store.Hold{}, t0, true},
		{&store.Hold{}, t0.AddDate(500, 0, 0), true},
		{&store.Hold{Until: until}, until.Add(-time.Millisecond), true},
		{&store.Hold{Until: until}, until, false},
	} {
		if got := c.hold.InForce(c.at); got != c.want {
			t.Errorf("%+v at %v: in force %v; want %v", c.hold, c.at, got, c.want)
		}
	}
}
