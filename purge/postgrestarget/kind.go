package postgrestarget

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind says where the resources of one kind are: Table and Tenant, or Count and
// Delete.
type Kind struct {
	// Table is "table" or "schema.table". Each part is taken as it is written,
	// upper case included; a part with a dot in it is put in double quotes.
	Table string
	// Tenant is the column with the tenant's id: text, varchar, uuid or an
	// integer.
	Tenant string
	// Key are the columns of the primary key; none means those in the catalog. An
	// index on Tenant and Key makes a giant tenant cheap.
	Key []string

	// Count is a statement that returns one number, for the tenant $1.
	Count string
	// Delete is a statement that removes what belongs to the tenant $1, at most
	// $2 rows of it. Without $2 it removes everything in one transaction. It
	// counts the rows that it affects, or, when it is a SELECT, the one number
	// that it returns. Count has to fall by what it removes: a removal by which it does
	// not is rolled back. Both are tried first for a tenant that does not exist, and
	// have to find nothing.
	Delete string

	// ForeignIDs says what becomes of a tenant whose id is no value of the type that
	// Tenant has, or $1: "error", which is also "", refuses to count and to remove, and
	// "none" takes it for one that has nothing here, since its like are elsewhere.
	ForeignIDs string `yaml:"foreignIds"`
}

// The values of [Kind.ForeignIDs].
const (
	foreignError = "error"
	foreignNone  = "none"
)

// SameRows reports whether two kinds have the same rows, as far as it can be told from
// how their table is written.
func (k Kind) SameRows(other Kind) bool {
	return k.Table != "" && k.Table == other.Table && k.Tenant == other.Tenant
}

// problem is what is wrong in one field of a [Kind].
type problem struct{ field, text string }

// tenantParameter finds $1, and not $10. That it is not in a comment or a
// literal is found out by PostgreSQL.
var (
	tenantParameter = regexp.MustCompile(`\$1(\D|$)`)
	limitParameter  = regexp.MustCompile(`\$2(\D|$)`)
	otherParameter  = regexp.MustCompile(`\$([3-9]|[1-9][0-9]+)`)
)

func (k Kind) problems() []problem {
	var found []problem
	add := func(field, text string) { found = append(found, problem{field, text}) }
	switch k.ForeignIDs {
	case "", foreignError, foreignNone:
	default:
		add(".foreignIds", fmt.Sprintf("is %q; want %s, or %s where tenants with other ids have nothing", k.ForeignIDs, foreignError, foreignNone))
	}
	table, own := k.Table != "" || k.Tenant != "" || len(k.Key) > 0, k.Count != "" || k.Delete != ""
	switch {
	case table && own:
		add("", "has both a table and statements; want table and tenant, or count and delete")
	case own:
		for _, s := range []struct{ field, sql string }{{".count", k.Count}, {".delete", k.Delete}} {
			switch {
			case strings.TrimSpace(s.sql) == "":
				add(s.field, "is missing; want a statement with $1 for the tenant")
			case strings.ContainsRune(s.sql, 0):
				add(s.field, "has a NUL byte")
			case !tenantParameter.MatchString(s.sql):
				add(s.field, "has no $1; want it where the tenant's id belongs")
			case otherParameter.MatchString(s.sql), s.field == ".count" && limitParameter.MatchString(s.sql):
				add(s.field, "has a parameter too many; want $1 for the tenant, and in delete $2 for the largest number of rows")
			}
		}
	default:
		if _, err := parseName(k.Table); err != nil {
			add(".table", strings.TrimSpace(k.Table+" "+err.Error()))
		}
		if err := checkColumn(k.Tenant); err != nil {
			add(".tenant", strings.TrimSpace(k.Tenant+" "+err.Error()))
		}
		for _, column := range k.Key {
			if err := checkColumn(column); err != nil {
				add(".key", strings.TrimSpace(column+" "+err.Error()))
			}
		}
	}
	return found
}
