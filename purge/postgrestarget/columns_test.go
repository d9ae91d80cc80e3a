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
		absent, foreign        []string
		ambiguous              []string
	}{
		{"text", "acme", "acme ", []string{aUUID, "17", "acm", "ACME"}, []string{"acme\x00", "\xff"}, nil},
		{"varchar(40)", "acme", "Acme", []string{strings.Repeat("x", 128), "17"}, nil, nil},
		{"uuid", aUUID, bUUID, []string{bUUID[:35] + "4"}, []string{"acme", "17", aUUID + "0", aUUID[1:], "'", "\x00", "\xff"},
			[]string{strings.ToUpper(aUUID), strings.ReplaceAll(aUUID, "-", ""), "{" + aUUID + "}", "7d44-48409dc0-11d1b2455ffdce74fad2"}},
		{"int2", "17", "18", []string{"19"}, []string{"acme", "32768", "99999999999999999999", "1e3", "0x11", aUUID}, []string{"017", "+17", "-0"}},
		{"int4", "17", "-17", []string{"19"}, []string{"acme", "2147483648", "-2147483649", "17.0"}, []string{"0017"}},
		{"int8", "9223372036854775807", "1", []string{"19"}, []string{"acme", "9223372036854775808", "1 "}, []string{"01"}},
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
				for _, id := range c.foreign {
					n, err := b.Count(t.Context(), id, store.KindUser)
					if wantCode(t, err, store.Precondition); n != 0 || err == nil || !strings.Contains(err.Error(), "is of type "+strings.TrimSuffix(c.typ, "(40)")) {
						t.Errorf("Count(%q) = %d, %v; want an error that names the type", id, n, err)
					}
					b.wantRefusal(t, users(id, all), store.Precondition)
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

// That the database cannot be asked about a tenant is no proof that it has nothing of
// his, unless the operator says so.
func TestTarget_G6_AnIDThatDoesNotFitIsAnError(t *testing.T) {
	for name, config := range map[string]func(*postgrestarget.Config){"Table": func(*postgrestarget.Config) {}, "Own": ownStatements} {
		t.Run(name, func(t *testing.T) {
			foreign := func(value string) func(*postgrestarget.Config) {
				return func(c *postgrestarget.Config) {
					config(c)
					for kind, k := range c.Kinds {
						k.ForeignIDs = value
						c.Kinds[kind] = k
					}
				}
			}
			b := setUp{typ: "bigint NOT NULL", config: foreign("error")}.make(t)
			b.add(t, 42, store.KindUser, 5)
			group, both := purge.GroupTarget(b.Target), []string{"42", "acme"}
			_, err := group.CountGroup(t.Context(), both, store.KindUser)
			wantCode(t, err, store.Precondition)
			for _, text := range []string{map[string]string{"Table": `"tenant_id" of "public"."users"`, "Own": "$1 of count"}[name], "int8", `"acme", a text,`, "foreignIds: none"} {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("CountGroup: %v; want %q in it", err, text)
				}
			}
			if did, err := group.PurgeGroup(t.Context(), both, users("", all)); did != (purge.Removed{}) || store.CodeOf(err) != store.Precondition {
				t.Errorf("PurgeGroup = %+v, %v", did, err)
			}
			if n := b.left(t, "42", store.KindUser); n != 5 {
				t.Errorf("%d are left, want 5", n)
			}
			// Where only some tenants are in this database.
			u := setUp{config: foreign("none")}
			some := b.again(t, u, b.server.DSN(b.db))
			if n, err := some.CountGroup(t.Context(), both, store.KindUser); n != 5 || err != nil {
				t.Errorf("CountGroup = %d, %v; want 5", n, err)
			}
			if n, err := some.Count(t.Context(), "acme", store.KindUser); n != 0 || err != nil {
				t.Errorf("Count = %d, %v; want 0", n, err)
			}
			if did, err := some.PurgeGroup(t.Context(), both, users("", all)); did != (purge.Removed{Deleted: 5}) || err != nil {
				t.Errorf("PurgeGroup = %+v, %v; want 5 gone", did, err)
			}
			if did, err := some.Purge(t.Context(), users("acme", all)); did != (purge.Removed{}) || err != nil {
				t.Errorf("Purge = %+v, %v; want nothing", did, err)
			}
		})
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

const caseless = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"

// What is known of a column is a minute old at the most, and it may have changed since.
func TestPurge_G4_ACollationThatChangesMergesNoTenants(t *testing.T) {
	b := setUp{sql: caseless + `CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL);
INSERT INTO users VALUES (1, 'acme'), (2, 'ACME');`, config: byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}})}.make(t)
	if n, err := b.Count(t.Context(), "acme", store.KindUser); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.server.Exec(t, b.db, "ALTER TABLE users ALTER tenant_id TYPE text COLLATE ci")
	_, err := b.Purge(t.Context(), users("acme", all))
	if wantCode(t, err, store.Unavailable); b.server.Int(t, b.db, "SELECT count(*) FROM users") != 2 {
		t.Error("rows are gone by what is out of date")
	}
	b.wantStep(t, users("acme", all), 1, false) // it is looked at anew
	if n := b.left(t, "ACME", store.KindUser); n != 1 {
		t.Error("the user of ACME went with acme")
	}
}

func TestDiagnose_G4_TellsOfStatementsOnACollationThatMergesTenants(t *testing.T) {
	b := setUp{sql: caseless + `CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text COLLATE ci NOT NULL, name text COLLATE ci);`,
		config: byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {
			Count: "SELECT count(*) FROM users WHERE tenant_id = $1", Delete: "DELETE FROM users WHERE tenant_id = $1",
		}})}.make(t)
	wantNoFinding(t, wantFindings(t, b.Target, `warning user: its statements name public.users, and in the column tenant_id texts that differ may be equal, since its collation is nondeterministic: rows of a tenant with another id could go; compare it as tenant_id COLLATE "C" = $1`), "column name")
}
