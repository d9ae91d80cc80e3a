package postgrestarget_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// hostileKeys returns keys that a careless statement misreads, that are the same to
// the eye, or to a collation. There are more than fit a few steps.
func hostileKeys() []string {
	keys := []string{
		"", " ", "  ", "a", " a", "a ", "\ta", "a\t", "A", "aB", "Ab", "AB", "ab", "b", "B",
		"'", "''", `"`, `""`, `\`, `\\`, `\'`, `\x61`, "a'b", `a"b`, `E'\\'`, "$1", "$2::text", "$$", "?", ":a",
		"%", "_", "%%", "a%", "a_", "*", "a;--", "'; DROP TABLE users; --", "/*", "*/", "--",
		"NULL", "null", "{}", "{NULL}", `{"a","b"}`, "{a,b}", "(a,b)", ",", "a,b", "0", "-1", "01", "1e3",
		"é", "e\u0301", "E\u0301", "ä", "a\u0308", "ß", "ss", "ẞ", "İ", "ı", "I", "i", "ﬁ", "fi", "Å", "\u212b",
		"\U0001F600", "\U0001F469\u200d\U0001F467", "\U0001F469\U0001F467", "\U0001F44D", "\U0001F44D\U0001F3FD",
		"\u0430", "\uff41", "\u00ada", "a\u200b", "\ufeffa", "a\u202eb", "\u0301", "\u0308", "\ufffd", "\U0010FFFF", "\u00a0", "\u2028",
		strings.Repeat("x", 1024), strings.Repeat("x", 1023) + "y", strings.Repeat("X", 1024), strings.Repeat("'", 1024),
		strings.Repeat("é", 512), strings.Repeat("e\u0301", 341), strings.Repeat(" ", 1024), strings.Repeat("\U0001F600", 256),
	}
	for c := byte(1); c < ' '; c++ { // PostgreSQL holds no NUL
		keys = append(keys, string(c))
	}
	random, long := rand.New(rand.NewPCG(1, 2)), make([]rune, 256) // that no compression makes short
	for i := range long {
		long[i] = rune(0x20000 + random.IntN(0xA000))
	}
	return append(keys, "\x7f", "\u0085", string(long))
}

// The key of a table holds whatever text it likes, in any collation: the walk goes
// by it in steps, each of as many rows as it may be.
func TestPurge_G4_TextKeysOfEveryCollation(t *testing.T) {
	const batch = 7
	shapes := []struct{ name, sql, key string }{
		{"Text", `CREATE TABLE users (id text COLLATE %s PRIMARY KEY, part int DEFAULT 0, tenant_id text NOT NULL);
CREATE INDEX ON users (tenant_id, id);`, "id"},
		{"Composite", `CREATE TABLE users (tenant_id text, id text COLLATE %s, part int, PRIMARY KEY (tenant_id, id, part));`, "id, part"},
		// Their rows are named by key.
		{"Partitioned", `CREATE TABLE users (tenant_id text, part int, id text COLLATE %s, PRIMARY KEY (tenant_id, part, id)) PARTITION BY LIST (part);
CREATE TABLE users_0 PARTITION OF users FOR VALUES IN (0); CREATE TABLE users_1 PARTITION OF users FOR VALUES IN (1);`, "part, id"},
	}
	for _, c := range []struct{ name, collation, dsn string }{
		{"Default", `"default"`, ""}, {"C", `"C"`, ""}, {"Linguistic", `"und-x-icu"`, ""}, {"Caseless", "caseless", ""}, {"Canonical", "canonical", ""},
		{"Unprepared", `"und-x-icu"`, "&default_query_exec_mode=exec"}, {"Simple", `"und-x-icu"`, "&default_query_exec_mode=simple_protocol"},
	} {
		for _, shape := range shapes {
			t.Run(c.name+"/"+shape.name, func(t *testing.T) {
				b := setUp{sql: `
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION canonical (provider = icu, locale = 'und', deterministic = false);
` + fmt.Sprintf(shape.sql, c.collation), config: func(cfg *postgrestarget.Config) {
					cfg.DSN += c.dsn
					cfg.Kinds = map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}}
				}}.make(t)
				// Each tenant has every key, where the primary key allows that, and
				// where it does not, one beside each of acme's. What a collation takes
				// for the same is there once.
				for _, insert := range []string{
					"SELECT 'acme', k, p FROM unnest($1::text[]) k, generate_series(0, 1) p",
					"SELECT 'acme-1', k, p FROM unnest($1::text[]) k, generate_series(0, 1) p",
					"SELECT 'Acme', k || '''', 0 FROM unnest($1::text[]) k",
				} {
					b.server.Exec(t, b.db, "INSERT INTO users (tenant_id, id, part) "+insert+" ON CONFLICT DO NOTHING", hostileKeys())
				}
				b.server.Exec(t, b.db, "CREATE TABLE kept AS SELECT * FROM users WHERE tenant_id <> 'acme';"+
					"CREATE TABLE behind AS SELECT * FROM users WHERE tenant_id = 'acme' ORDER BY "+shape.key+" LIMIT 1")
				rows := b.left(t, "acme", store.KindUser)
				if rows < int64(len(hostileKeys()))/2 || b.server.Int(t, b.db, "SELECT count(*) FROM kept") < rows/2 {
					t.Fatalf("%d rows of %d keys: too few to say anything", rows, len(hostileKeys()))
				}
				if n, err := b.Count(t.Context(), "acme", store.KindUser); n != rows || err != nil {
					t.Errorf("Count = %d, %v; want %d", n, err, rows)
				}
				// A row that comes back behind the walk is found at its end, by a look from
				// the front: that none of the steps before has it shows that they went on
				// by the key.
				for step := range rows / batch {
					if step == 2 {
						b.server.Exec(t, b.db, "INSERT INTO users SELECT * FROM behind")
					}
					b.wantStep(t, users("acme", batch), batch, true)
				}
				if rest := rows % batch; rest > 0 {
					b.wantStep(t, users("acme", batch), rest, true)
				}
				b.wantStep(t, users("acme", batch), 1, false)
				b.wantStep(t, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: batch, Resumed: true}, 0, false)
				for what, sql := range map[string]string{
					"rows of the tenant":          "SELECT count(*) FROM users WHERE tenant_id = 'acme'",
					"rows of neighbours too few":  "SELECT count(*) FROM (SELECT tenant_id, convert_to(id, 'UTF8'), part FROM kept EXCEPT SELECT tenant_id, convert_to(id, 'UTF8'), part FROM users) lost",
					"rows more than removed":      fmt.Sprintf("SELECT sum(deleted) - %d FROM purger_ledger", rows+1),
					"rows of neighbours too many": "SELECT (SELECT count(*) FROM users) - (SELECT count(*) FROM kept)",
				} {
					if n := b.server.Int(t, b.db, sql); n != 0 {
						t.Errorf("%d %s, want none", n, what)
					}
				}
			})
		}
	}
}
