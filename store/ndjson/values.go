package ndjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tenantpurge/purger/store"
)

// The methods below read the value of one member. A value of the wrong type or
// out of range is kept as an error and passed over; the error they return is
// one of syntax.

// wrongType keeps the error for a value that is not what is wanted.
func (d *decoder) wrongType(field, want string) error {
	v, err := d.value()
	if err == nil {
		d.errorf(field, "%s %s: want %s", field, short(v), want)
	}
	return err
}

// readText reads a string.
func (d *decoder) readText(field string, to *string) error {
	if d.peek() != '"' {
		return d.wrongType(field, "a string")
	}
	s, err := d.str()
	*to = string(s)
	return err
}

// readType reads the type of the record.
func (d *decoder) readType() error {
	const want = "tenant, oauthClient, apiKey, credential or user"
	if d.peek() != '"' {
		return d.wrongType("type", want)
	}
	s, err := d.str()
	if err != nil {
		return err
	}
	if string(s) == "tenant" {
		d.isTenant = true
	} else if d.kind, err = store.ParseKind(string(s)); err != nil {
		d.errorf("type", "type %s: want %s", short(strconv.AppendQuote(nil, string(s))), want)
	}
	return nil
}

// readTime reads a time.
func (d *decoder) readTime(field string, to *time.Time) error {
	const want = `a time such as "2026-01-05T10:00:00.000Z"`
	if d.peek() != '"' {
		return d.wrongType(field, want)
	}
	s, err := d.str()
	if err != nil {
		return err
	}
	// Package time also takes an hour of one digit and a comma for the point,
	// and ParseTime takes "" for none.
	if len(s) < len("2006-01-02T15:04:05Z") || s[len("2006-01-02T15")] != ':' || bytes.IndexByte(s, ',') >= 0 {
		d.errorf(field, "%s %s: want %s", field, short(strconv.AppendQuote(nil, string(s))), want)
		return nil
	}
	*to, err = store.ParseTime(field, string(s))
	d.keep(err)
	return nil
}

// readNumber reads a whole number.
func (d *decoder) readNumber(field string, to *int) error {
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		return d.wrongType(field, "a whole number")
	}
	v, err := d.value()
	if err != nil {
		return err
	}
	if bytes.ContainsAny(v, ".eE") || !json.Valid(v) {
		d.errorf(field, "%s %s: want a whole number", field, short(v))
		return nil
	}
	n, err := strconv.ParseInt(string(v), 10, 32)
	if err != nil {
		d.errorf(field, "%s %s: out of range; want at most %d", field, short(v), math.MaxInt32)
	}
	*to = int(n)
	return nil
}

// readMembers reads an object with the members of names. read is called with
// the index of the name and its path, such as "hold.reason".
func (d *decoder) readMembers(field string, names []string, read func(i int, path string) error) error {
	if d.peek() != '{' {
		return d.wrongType(field, "an object")
	}
	var seen [8]bool
	return d.object(func(name []byte) error {
		i := slices.Index(names, string(name))
		switch {
		case i < 0:
			d.errs = append(d.errs, unknownMember(field+".", string(name), names))
			_, err := d.value()
			return err
		case seen[i]:
			return d.twice(field+".", names[i])
		}
		seen[i] = true
		return read(i, field+"."+names[i])
	})
}

// readActor reads who did something.
func (d *decoder) readActor(field string, to *store.Actor) error {
	return d.readMembers(field, []string{"id", "name", "email"}, func(i int, path string) error {
		part := []*string{&to.ID, &to.Name, &to.Email}[i]
		err := d.readText(path, part)
		if err == nil {
			d.keep(store.CheckText(path, *part, store.MaxNameLength))
		}
		return err
	})
}

// readHold reads a hold, or null for none.
func (d *decoder) readHold() error {
	if d.peek() != '{' {
		v, err := d.value()
		if err == nil && string(v) != "null" {
			d.errorf("hold", "hold %s: want an object or null", short(v))
		}
		return err
	}
	h := &store.Hold{}
	d.tenant.Hold = h
	return d.readMembers("hold", []string{"reason", "until", "since", "actor"}, func(i int, path string) error {
		switch i {
		case 0:
			return d.readText(path, &h.Reason)
		case 1:
			return d.readTime(path, &h.Until)
		case 2:
			return d.readTime(path, &h.Since)
		default:
			return d.readActor(path, &h.Actor)
		}
	})
}

// readData reads the data of a resource: any JSON object, without its white
// space and otherwise as it is.
func (d *decoder) readData() error {
	if d.peek() != '{' {
		return d.wrongType("data", "a JSON object")
	}
	start := d.pos
	v, err := d.value()
	if err != nil {
		return err
	}
	d.compact.Reset()
	if err := json.Compact(&d.compact, v); err != nil {
		at := int64(1)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = max(syntax.Offset, 1)
		}
		return store.Errorf(store.Invalid, "column %d: data: %w", int64(start)+at, err)
	}
	d.data = d.compact.Bytes()
	return nil
}
