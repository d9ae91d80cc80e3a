package postgrestarget

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// maxNameLength is how many bytes PostgreSQL keeps of a name. It would cut a
// longer one, and might then find another table.
const maxNameLength = 63

// parseName splits "table" or "schema.table". A part in double quotes may hold
// dots, and quotes that are doubled.
func parseName(s string) (pgx.Identifier, error) {
	var parts pgx.Identifier
	for rest := s; ; {
		var part, after string
		var more bool
		if strings.HasPrefix(rest, `"`) {
			end := closingQuote(rest)
			if end < 0 {
				return nil, errors.New("has a quote that is not closed")
			}
			part, after = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
			if more = strings.HasPrefix(after, "."); after != "" && !more {
				return nil, errors.New("goes on after a closing quote")
			}
			after = strings.TrimPrefix(after, ".")
		} else {
			part, after, more = strings.Cut(rest, ".")
			if strings.ContainsRune(part, '"') {
				return nil, errors.New("has a quote within a name")
			}
		}
		if err := checkColumn(part); err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !more {
			break
		}
		rest = after
	}
	if len(parts) > 2 {
		return nil, errors.New("has too many parts; want table or schema.table")
	}
	return parts, nil
}

// closingQuote returns where the quote that s begins with is closed, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}

// checkColumn returns what makes a name impossible, or nil.
func checkColumn(s string) error {
	switch {
	case s == "":
		return errors.New("is missing; want a name")
	case len(s) > maxNameLength:
		return errors.New("is longer than the 63 bytes that PostgreSQL keeps of a name")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return errors.New("is not a name: it has bytes that no name can have")
	}
	return nil
}

// quote returns one name in quotes.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
