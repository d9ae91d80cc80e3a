package ndjson

import (
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// day is the unit of the grace period, whatever a calendar says.
const day = 24 * time.Hour

// maxAhead is how far ahead of the clock a deactivation may be: enough for
// clocks that differ, not for a date that somebody got wrong.
const maxAhead = 24 * time.Hour

// judge checks what a well-formed line says. What depends on other lines or on
// the store comes later.
func (d *decoder) judge() {
	known := anyMember
	switch {
	case d.isTenant:
		known = tenantMembers
	case d.kind != "":
		known = resourceMembers
	case d.seen&mType == 0:
		d.errorf("type", "type is missing: want tenant, oauthClient, apiKey, credential or user")
	}
	for _, name := range d.unknown {
		d.errs = append(d.errs, unknownMember("", name, known.names()))
	}
	for _, name := range (d.seen &^ known).names() {
		d.errs = append(d.errs, unknownMember("", name, known.names()))
	}
	switch {
	case d.isTenant:
		d.judgeTenant()
	case d.kind != "":
		d.judgeResource()
	}
}

// missing keeps an error for each member that is not there.
func (d *decoder) missing(required member) {
	for _, name := range (required &^ d.seen).names() {
		d.errorf(name, "%s is missing: it is required", name)
	}
}

// judgeTenant completes the tenant and checks it.
func (d *decoder) judgeTenant() {
	d.missing(mID | mStatus)
	t := &d.tenant
	t.ID = d.id
	t.Status = store.Status(d.status)
	switch {
	case d.seen&mStatus == 0:
	case t.Status == store.StatusActive:
		for _, name := range (d.seen & (mDisabledAt | mPurgeAfterDays | mEstimatedPurgeDate | mDisabledBy)).names() {
			d.errorf(name, "%s: an active tenant has none", name)
		}
	case t.Status == store.StatusDisabled:
		d.judgeDates()
	case d.status != "" || len(d.errs) == 0:
		d.errorf("status", "status %s: want active or disabled", short([]byte(`"`+d.status+`"`)))
	}
	if len(d.errs) == 0 {
		d.keep(t.Validate())
	}
	if len(d.errs) == 0 && d.checkID != nil {
		d.keep(d.checkID(t.ID))
	}
}

// judgeDates derives the grace period of a disabled tenant from what is given:
// the days, the date, or both. A missing date must never lead to a purge (G1).
func (d *decoder) judgeDates() {
	t := &d.tenant
	if d.seen&mDisabledAt == 0 {
		d.errorf("disabledAt", "disabledAt is missing: a disabled tenant needs it")
	}
	if t.DisabledAt.After(d.now.Add(maxAhead)) {
		d.errorf("disabledAt", "disabledAt %s: in the future; want at most 24 h after now, %s",
			store.FormatTime(t.DisabledAt), store.FormatTime(d.now))
	}
	if len(d.errs) > 0 {
		return
	}
	if d.seen&(mPurgeAfterDays|mEstimatedPurgeDate) == 0 {
		d.errorf("purgeAfterDays", "purgeAfterDays is missing: a disabled tenant needs it, or estimatedPurgeDate")
		return
	}
	if d.seen&mPurgeAfterDays != 0 && !d.allowed(t.PurgeAfterDays) {
		d.errorf("purgeAfterDays", "purgeAfterDays %d: want %d to %d", t.PurgeAfterDays, d.grace.Min, d.grace.Max)
		return
	}
	if d.seen&mEstimatedPurgeDate != 0 {
		d.judgePromise()
	}
	t.EstimatedPurgeDate = store.PurgeDate(t.DisabledAt, t.PurgeAfterDays)
}

// judgePromise checks estimatedPurgeDate, and takes the days from it when they
// are not given.
func (d *decoder) judgePromise() {
	const field = "estimatedPurgeDate"
	t, date := &d.tenant, store.FormatTime(d.promised)
	after := d.promised.Sub(t.DisabledAt)
	days := int(after / day)
	switch {
	case after%day != 0:
		d.errorf(field, "%s %s: %s after disabledAt; want a whole number of days", field, date, after)
	case d.seen&mPurgeAfterDays != 0 && days != t.PurgeAfterDays:
		d.errorf(field, "%s %s: %d days after disabledAt; want %d, as purgeAfterDays says", field, date, days, t.PurgeAfterDays)
	case !d.allowed(days):
		d.errorf(field, "%s %s: %d days after disabledAt; want %d to %d", field, date, days, d.grace.Min, d.grace.Max)
	}
	t.PurgeAfterDays = days
}

// allowed reports whether a grace period is within its bounds.
func (d *decoder) allowed(days int) bool { return days >= d.grace.Min && days <= d.grace.Max }

// judgeResource checks a resource.
func (d *decoder) judgeResource() {
	d.missing(mTenantID | mID)
	if len(d.errs) == 0 {
		r := d.resource()
		d.keep(r.Validate())
	}
}

// resource is the resource of the line. Its data is valid until the next line.
func (d *decoder) resource() store.Resource {
	return store.Resource{TenantID: d.tenantID, Kind: d.kind, ID: d.id, Data: d.data}
}

// recordID returns the id for messages and, of a tenant that was refused, for
// its relatives; "" when there is no usable one.
func (d *decoder) recordID() string {
	if store.CheckID("id", d.id) != nil {
		return ""
	}
	return strings.Clone(d.id)
}
