package config

import (
	"errors"
	"strings"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// dsn returns a connection string with its secrets, each escaped for its place. A
// reference at the beginning stands for the string itself, or the first part of it.
func (r *resolver) dsn(text string) (string, error) {
	begin := ""
	if at := reference.FindStringIndex(text); at[0] == 0 {
		var err error
		if begin, err = r.secrets.find(text[:at[1]]); err != nil {
			return "", err
		}
		text = text[at[1]:]
	}
	escape := keywordValue
	if isURL(begin + text) {
		escape = httpcall.Escape
	}
	rest, err := replace(text, func(ref string) (string, error) {
		secret, err := r.secrets.find(ref)
		return escape(secret), err
	})
	if err != nil {
		return "", err
	}
	if isURL(begin+rest) && misplaced(begin+rest) {
		return "", errMisplaced
	}
	return begin + rest, nil
}

// isURL reports whether a connection string is a URL, and not keywords.
func isURL(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// errMisplaced refuses a connection string that is a secret as a whole and has a
// password that is not escaped: the part of it behind the first @ or / would be taken
// for a host or a database, which errors name.
var errMisplaced = errors.New("there is an @ in its host or database; want the password percent-encoded, such as %40 for @ and %2F for /")

// misplaced reports whether an @ is where a URL has host and database. The first one
// before a slash ends user and password.
func misplaced(dsn string) bool {
	_, rest, _ := strings.Cut(dsn, "://")
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	place, _, _ := strings.Cut(rest, "?")
	return strings.Contains(place, "@")
}

// keywordValue returns s for a place in a value of a connection string of keywords,
// with or without quotes around it: in both a backslash takes what comes behind it as
// it is.
func keywordValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(" \t\n\v\f\r'\\", s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
