package store

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a record may hold.
const (
	// MaxIDLength is the largest length of an id, in bytes.
	MaxIDLength = 128
	// MaxNameLength is the largest length of a name or a reason, in bytes.
	MaxNameLength = 1024
	// MaxHostnameLength is the largest length of a host name (RFC 1035).
	MaxHostnameLength = 253
	// MaxDepth is the largest depth of a tenant; a root has depth 0.
	MaxDepth = math.MaxUint16
)

// Actor is who did something. Only ID outlives the tenant: name and email may
// be those of one of its users.
type Actor struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// check returns an [Invalid] error when a text of the actor cannot be printed.
func (a Actor) check(field string) error {
	return errors.Join(
		CheckText(field+".id", a.ID, MaxNameLength), CheckText(field+".name", a.Name, MaxNameLength),
		CheckText(field+".email", a.Email, MaxNameLength))
}

// Tenant is a node of the tenant forest. ParentID never changes.
type Tenant struct {
	ID       string
	ParentID string // "" for a root
	Name     string
	Hostname string
	Status   Status

	// Version grows by one with every change that a caller or a purge makes;
	// recording a Block or progress does not count. The first version is 1.
	Version              int64
	CreatedAt, UpdatedAt time.Time

	// DisabledAt, PurgeAfterDays and EstimatedPurgeDate are zero while the
	// tenant was never disabled by itself; else
	// EstimatedPurgeDate = DisabledAt + PurgeAfterDays x 24 h.
	DisabledAt         time.Time
	PurgeAfterDays     int
	EstimatedPurgeDate time.Time
	DisabledBy         Actor
	// ReactivatedAt is when a person reactivated the tenant, zero unless that
	// stands against what a source says of an earlier instant; see
	// [Adoption.Overruled]. Only an active tenant has it, or one that was active
	// when it was claimed with a tenant above it.
	ReactivatedAt time.Time

	// Hold is nil when there is none. One that has ended may still be here:
	// ask InForce.
	Hold *Hold
	// ActiveSubscriptions blocks the purge while it is above zero.
	ActiveSubscriptions int

	// Block is why the last pass or deletion that tried did not purge this
	// tenant; nil when nothing stood in the way.
	Block *Block
	// Purge is nil until the tenant is claimed. Only the tenant at the top of
	// a claim carries it.
	Purge *Progress
}

// Hold keeps a tenant, and so every ancestor of it, from being purged.
type Hold struct {
	Reason string
	Actor  Actor
	Since  time.Time
	Until  time.Time // exclusive; zero: no end
}

// InForce reports whether the hold, which may be nil, stands at now. It ends
// exactly at Until.
func (h *Hold) InForce(now time.Time) bool {
	return h != nil && (h.Until.IsZero() || now.Before(h.Until))
}

// Due reports whether the tenant's own date has come at now. The date itself is
// the first instant. A tenant without a date is never due.
func (t *Tenant) Due(now time.Time) bool {
	return t.Status == StatusDisabled && !t.EstimatedPurgeDate.IsZero() && !now.Before(t.EstimatedPurgeDate)
}

// Grace bounds the grace period, in days. A zero field means the default of
// [DefaultGrace].
type Grace struct {
	Min, Max, Default int
}

// DefaultGrace is 10 to 90 days, 30 by default.
func DefaultGrace() Grace { return Grace{Min: 10, Max: 90, Default: 30} }

// orDefault replaces the fields that are zero.
func (g Grace) orDefault() Grace {
	d := DefaultGrace()
	if g.Min == 0 {
		g.Min = d.Min
	}
	if g.Max == 0 {
		g.Max = d.Max
	}
	if g.Default == 0 {
		g.Default = d.Default
	}
	return g
}

// Check returns days, or the default when days is 0, and an [Invalid] error
// when they are out of bounds.
func (g Grace) Check(days int) (int, error) {
	g = g.orDefault()
	if days == 0 {
		days = g.Default
	}
	if days < g.Min || days > g.Max {
		return 0, Errorf(Invalid, "purgeAfterDays %d: want %d to %d", days, g.Min, g.Max).At("purgeAfterDays")
	}
	return days, nil
}

// PurgeDate returns the first instant at which a tenant that was disabled at
// disabledAt may be purged.
func PurgeDate(disabledAt time.Time, days int) time.Time {
	return disabledAt.Add(time.Duration(days) * 24 * time.Hour)
}

// CheckDate returns why the tenant's dates do not allow a purge ever (G1): a
// missing, zero or out-of-range date, or one that is not what DisabledAt and
// PurgeAfterDays say. It returns nil for a sound disabled tenant.
//
// The bounds are those of any sensible configuration, 1 to 3650 days, since
// the configured ones may have changed after the promise was made.
func (t *Tenant) CheckDate() error {
	switch {
	case t.DisabledAt.IsZero():
		return Errorf(Invalid, "tenant %q is disabled without disabledAt", t.ID).At("disabledAt")
	case t.DisabledAt.Before(minTime) || t.DisabledAt.After(maxTime):
		return Errorf(Invalid, "tenant %q: disabledAt %s is out of range", t.ID, FormatTime(t.DisabledAt)).At("disabledAt")
	case t.PurgeAfterDays < 1 || t.PurgeAfterDays > 3650:
		return Errorf(Invalid, "tenant %q: purgeAfterDays %d is out of range", t.ID, t.PurgeAfterDays).At("purgeAfterDays")
	case !t.EstimatedPurgeDate.Equal(PurgeDate(t.DisabledAt, t.PurgeAfterDays)):
		return Errorf(Invalid, "tenant %q: estimatedPurgeDate %s is not disabledAt + %d days", t.ID,
			FormatTime(t.EstimatedPurgeDate), t.PurgeAfterDays).At("estimatedPurgeDate")
	}
	return nil
}

// Validate returns an [Invalid] error that names the field at fault, or nil.
// It looks at the record alone, not at its family.
func (t *Tenant) Validate() error {
	if err := CheckID("id", t.ID); err != nil {
		return err
	}
	if t.ParentID != "" {
		if err := CheckID("parentId", t.ParentID); err != nil {
			return err
		}
		if t.ParentID == t.ID {
			return Errorf(Invalid, "parentId %q: a tenant cannot be its own parent", t.ParentID).At("parentId")
		}
	}
	if err := CheckText("name", t.Name, MaxNameLength); err != nil {
		return err
	}
	if err := CheckHostname(t.Hostname); err != nil {
		return err
	}
	if t.ActiveSubscriptions < 0 {
		return Errorf(Invalid, "activeSubscriptions %d: want 0 or more", t.ActiveSubscriptions).At("activeSubscriptions")
	}
	if h := t.Hold; h != nil {
		if h.Reason == "" {
			return Errorf(Invalid, "hold: a reason is required").At("hold.reason")
		}
		if err := CheckText("hold.reason", h.Reason, MaxNameLength); err != nil {
			return err
		}
		if h.Until.After(maxTime) {
			return Errorf(Invalid, "hold.until %s: want a time before 2262, or none for a hold without an end", FormatTime(h.Until)).At("hold.until")
		}
		if err := h.Actor.check("hold.actor"); err != nil {
			return err
		}
	}
	if err := t.DisabledBy.check("disabledBy"); err != nil {
		return err
	}
	if at := t.ReactivatedAt; !at.IsZero() {
		switch {
		case t.Status == StatusDisabled:
			return Errorf(Invalid, "a disabled tenant has no reactivatedAt").At("reactivatedAt")
		case at.Before(minTime) || at.After(maxTime):
			return Errorf(Invalid, "tenant %q: reactivatedAt %s is out of range", t.ID, FormatTime(at)).At("reactivatedAt")
		}
	}
	switch t.Status {
	case StatusActive:
		if !t.DisabledAt.IsZero() || t.PurgeAfterDays != 0 || !t.EstimatedPurgeDate.IsZero() {
			return Errorf(Invalid, "an active tenant has no disabledAt, purgeAfterDays or estimatedPurgeDate").At("status")
		}
	case StatusDisabled:
		return t.CheckDate()
	case StatusPurging, StatusFailed:
	default:
		return Errorf(Invalid, "status %q: want active or disabled", t.Status).At("status")
	}
	return nil
}

// CheckID returns an [Invalid] error that names the field unless id matches
// [A-Za-z0-9][A-Za-z0-9._:-]{0,127}.
func CheckID(field, id string) error {
	bad := func(why string) error {
		return Errorf(Invalid, "%s %s: %s; want [A-Za-z0-9][A-Za-z0-9._:-]{0,127}", field, Quote(id), why).At(field)
	}
	if id == "" {
		return bad("empty")
	}
	if len(id) > MaxIDLength {
		return bad(fmt.Sprintf("%d bytes long", len(id)))
	}
	for i := range len(id) {
		c := id[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if alnum || i > 0 && (c == '.' || c == '_' || c == ':' || c == '-') {
			continue
		}
		r, _ := utf8.DecodeRuneInString(id[i:])
		return bad(fmt.Sprintf("%q at byte %d", r, i+1))
	}
	return nil
}

// CheckText returns an [Invalid] error that names the field when s is longer
// than limit bytes, is not UTF-8, or holds control or bidirectional-override
// characters, which could forge a line of output.
func CheckText(field, s string, limit int) error {
	if len(s) > limit {
		return Errorf(Invalid, "%s: %d bytes long; want at most %d", field, len(s), limit).At(field)
	}
	if !utf8.ValidString(s) {
		return Errorf(Invalid, "%s %s: not valid UTF-8", field, Quote(s)).At(field)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return Errorf(Invalid, "%s %s: holds the control character %U", field, Quote(s), r).At(field)
		}
	}
	return nil
}

// CheckHostname returns an [Invalid] error unless h is empty or a host name of
// letters, digits, hyphens and dots (RFC 1123), optionally with underscores.
func CheckHostname(h string) error {
	if len(h) > MaxHostnameLength {
		return Errorf(Invalid, "hostname: %d bytes long; want at most %d", len(h), MaxHostnameLength).At("hostname")
	}
	label := 0
	for i := range len(h) {
		c := h[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_':
			label++
		case c == '-' && label > 0 && i+1 < len(h) && h[i+1] != '.':
			label++
		case c == '.' && label > 0 && i+1 < len(h):
			label = 0
		default:
			return Errorf(Invalid, "hostname %s: want labels of letters, digits and hyphens, separated by dots", Quote(h)).At("hostname")
		}
		if label > 63 {
			return Errorf(Invalid, "hostname %s: a label is longer than 63 bytes", Quote(h)).At("hostname")
		}
	}
	return nil
}
