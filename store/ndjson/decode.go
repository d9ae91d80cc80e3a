package ndjson

import (
	"bytes"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/tenantpurge/purger/store"
)

// decoder turns lines into records. It is used for one line after the other;
// what the fields hold is of the last one.
type decoder struct {
	grace   store.Grace // no field is zero
	checkID func(id string) error
	now     time.Time

	scanner
	parsed
	errs    []*store.Error
	compact bytes.Buffer
}

// parsed is what a line says.
type parsed struct {
	seen     member
	unknown  []string
	isTenant bool
	kind     store.Kind // "" for a tenant, and for a type that is not known
	id       string
	tenantID string
	tenant   store.Tenant
	status   string
	promised time.Time // estimatedPurgeDate
	data     []byte    // compact; nil when absent
}

// line reads one line, without its end, and returns what is wrong with it.
// After an error of syntax nothing else is reported of the line, and of the
// record only what was read before it is known.
func (d *decoder) line(text []byte) []*store.Error {
	d.scanner = scanner{text: text}
	d.parsed = parsed{unknown: d.unknown[:0]}
	d.errs = d.errs[:0]
	if !utf8.Valid(text) {
		d.errorf("", "column %d: not valid UTF-8", validPrefix(text)+1)
		return d.errs
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		d.errorf("", "column 1: a byte order mark: want none")
		return d.errs
	}
	if d.peek() == 0 && d.pos == len(text) {
		d.errorf("", "empty line: want one JSON object on each line")
		return d.errs
	}
	err := d.object(d.member)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		d.errs = d.errs[:0]
		d.keep(err)
		return d.errs
	}
	d.judge()
	return d.errs
}

// validPrefix returns how many bytes of text are UTF-8.
func validPrefix(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}

// errorf keeps an error of a member; the line is read on.
func (d *decoder) errorf(field, format string, args ...any) {
	d.errs = append(d.errs, store.Errorf(store.Invalid, format, args...).At(field))
}

// keep keeps an error of package store, if there is one.
func (d *decoder) keep(err error) {
	if err == nil {
		return
	}
	var e *store.Error
	if !errors.As(err, &e) {
		e = store.Errorf(store.Invalid, "%w", err)
	}
	d.errs = append(d.errs, e)
}

// member reads the value of one member of the line.
func (d *decoder) member(name []byte) error {
	m := memberOf(name)
	if m == 0 { // which ones are known depends on the type, which may follow
		d.unknown = append(d.unknown, string(name))
		_, err := d.value()
		return err
	}
	if d.seen&m != 0 {
		return d.twice("", string(name))
	}
	d.seen |= m
	t := &d.tenant
	switch m {
	case mType:
		return d.readType()
	case mID:
		return d.readText("id", &d.id)
	case mTenantID:
		return d.readText("tenantId", &d.tenantID)
	case mParentID:
		return d.readText("parentId", &t.ParentID)
	case mName:
		return d.readText("name", &t.Name)
	case mHostname:
		return d.readText("hostname", &t.Hostname)
	case mStatus:
		return d.readText("status", &d.status)
	case mCreatedAt:
		return d.readTime("createdAt", &t.CreatedAt)
	case mDisabledAt:
		return d.readTime("disabledAt", &t.DisabledAt)
	case mPurgeAfterDays:
		return d.readNumber("purgeAfterDays", &t.PurgeAfterDays)
	case mEstimatedPurgeDate:
		return d.readTime("estimatedPurgeDate", &d.promised)
	case mDisabledBy:
		return d.readActor("disabledBy", &t.DisabledBy)
	case mReactivatedAt:
		return d.readTime("reactivatedAt", &t.ReactivatedAt)
	case mHold:
		return d.readHold()
	case mActiveSubscriptions:
		return d.readNumber("activeSubscriptions", &t.ActiveSubscriptions)
	default:
		return d.readData()
	}
}

// twice keeps the error for a member that is there already and moves past its
// value. path is that of the object.
func (d *decoder) twice(path, name string) error {
	d.errorf(path+name, "member %s is there twice: want it once", short([]byte(path+name)))
	_, err := d.value()
	return err
}
