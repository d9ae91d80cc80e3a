package postgrestarget_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

const (
	aUUID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
	bUUID = "7d444840-9dc0-11d1-b245-5ffdce74fad3"
)

func TestTarget_G4_IdsOfEveryColumnType(t *testing.T) {
	for _, c := range []struct {
		typ, tenant, neighbour string
		absent, ambiguous      []string
	}{
		{"text", "acme", "acme ", []string{aUUID, "17", "acm", "ACME", "acme\x00", "\xff"}, nil},
		{"varchar(40)", "acme", "Acme", []string{strings.Repeat("x", 128), "17"}, nil},
		{"uuid", aUUID, bUUID, []string{"acme", "17", aUUID + "0", aUUID[1:], "'", "\x00", "\xff"},
			[]string{strings.ToUpper(aUUID), strings.ReplaceAll(aUUID, "-", ""), "{" + aUUID + "}", "7d44-48409dc0-11d1b2455ffdce74fad2"}},
		{"int2", "17", "18", []string{"acme", "32768", "99999999999999999999", "1e3", "0x11", aUUID}, []string{"017", "+17", "-0"}},
		{"int4", "17", "-17", []string{"acme", "2147483648", "-2147483649", "17.0"}, []string{"0017"}},
		{"int8", "9223372036854775807", "1", []string{"acme", "9223372036854775808", "1 "}, []string{"01"}},
	} {
		for _, own := range []bool{false, true} {
			if own && (strings.HasPrefix(c.typ, "var") || c.typ == "int2") {
				continue // as text and int4
			}
			t.Run(fmt.Sprintf("%s/Own=%t", c.typ, own), func(t *testing.T) {
				u := setUp{typ: c.typ}
				if own {
					u.config = ownStatements
				}
				b := u.make(t)
				insert := "INSERT INTO users (tenant_id) SELECT v::" + c.typ + " FROM unnest($1::text[]) v"
				b.server.Exec(t, b.db, insert, []string{c.tenant, c.tenant, c.neighbour})
				for _, id := range c.absent {
					if n, err := b.Count(t.Context(), id, store.KindUser); n != 0 || err != nil {
						t.Errorf("Count(%q) = %d, %v; want 0", id, n, err)
					}
					b.wantStep(t, users(id, all), 0, false)
				}
				for _, id := range c.ambiguous {
					n, err := b.Count(t.Context(), id, store.KindUser)
					if n != 0 || !purge.IsPermanent(err) {
						t.Errorf("Count(%q) = %d, %v; want a permanent error", id, n, err)
					}
					if did, err := b.Purge(t.Context(), users(id, all)); did != (purge.Removed{}) || !purge.IsPermanent(err) {
						t.Errorf("Purge(%q) = %+v, %v; want a permanent error", id, did, err)
					}
				}
				if n, err := b.Count(t.Context(), c.tenant, store.KindUser); n != 2 || err != nil {
					t.Errorf("Count(%q) = %d, %v; want 2", c.tenant, n, err)
				}
				b.wantStep(t, users(c.tenant, all), 2, false)
				if left := b.left(t, c.neighbour, store.KindUser); left != 1 {
					t.Errorf("the neighbour %q has %d, want 1", c.neighbour, left)
				}
			})
		}
	}
}

func TestTarget_OtherTypesAreRefused(t *testing.T) {
	for _, typ := range []string{"char(10)", "jsonb", "numeric", "text[]"} {
		b := setUp{typ: typ}.make(t)
		b.wantRefusal(t, users("acme", all), store.Precondition)
		if n, err := b.Count(t.Context(), "acme", store.KindUser); err == nil || !strings.Contains(err.Error(), "text, varchar, uuid or an integer") {
			t.Errorf("%s: Count = %d, %v; want an error that says what would be right", typ, n, err)
		}
	}
}

// TestTarget_StatementsUseIndexes looks at the plans that the server made. Each
// table is so large that reading it whole would be a mistake.
func TestTarget_StatementsUseIndexes(t *testing.T) {
	for _, typ := range []string{"varchar(40) NOT NULL", "uuid NOT NULL", "int4 NOT NULL"} {
		b := setUp{typ: typ, options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
			for name, value := range map[string]string{
				"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_level": "log",
			} {
				c.ConnConfig.RuntimeParams[name] = value
			}
		}}}.make(t)
		of := func(i int) string {
			switch {
			case strings.HasPrefix(typ, "uuid"):
				return fmt.Sprintf("7d444840-9dc0-11d1-b245-%012d", i)
			case strings.HasPrefix(typ, "int"):
				return fmt.Sprint(i)
			}
			return fmt.Sprintf("tenant-%012d", i)
		}
		ids := make([]string, 200)
		for i := range ids {
			ids[i] = of(i)
		}
		for _, kind := range b.Kinds() {
			b.server.Exec(t, b.db, fmt.Sprintf("INSERT INTO %s (tenant_id, name) SELECT v::%s, repeat('x', 50) FROM unnest($1::text[]) v, generate_series(1, 50)",
				tableOf(kind), strings.TrimSuffix(typ, " NOT NULL")), ids)
			b.server.Exec(t, b.db, "ANALYZE "+tableOf(kind))
		}
		from := len(b.server.Log())
		for _, kind := range b.Kinds() {
			if n, err := b.Count(t.Context(), of(1), kind); n != 50 || err != nil {
				t.Fatalf("Count = %d, %v", n, err)
			}
			// The first step is of a group, those after it walk where they can.
			for {
				did, err := b.Purge(t.Context(), purge.Request{TenantID: of(1), Kind: kind, Limit: 20})
				if err != nil {
					t.Fatal(err)
				}
				if !did.More {
					break
				}
			}
			if left := b.left(t, of(1), kind); left != 0 {
				t.Fatalf("%d %s are left", left, kind)
			}
		}
		log := b.server.Log()[from:]
		for _, kind := range b.Kinds() {
			if !strings.Contains(log, tableOf(kind)+"_") {
				t.Errorf("%s: no plan uses an index of %s: auto_explain is not at work", typ, tableOf(kind))
			}
			if strings.Contains(log, "Seq Scan on "+tableOf(kind)) {
				t.Errorf("%s: %s is read whole:\n%s", typ, tableOf(kind), log)
			}
		}
	}
}
